/**
 * The browser's side of onenote-auth: sign in, know who is there, call OneNote. No token comes here; importing asks nothing.
 */

const LONGEST_WAIT_S = 10
const TRIES = 3
const SPACING_MS = 5000

/** Its message is for people. */
export class BundleError extends Error {
  /** The server's, OneNote's, or `unreachable`. */
  code = ''
  /** 0 without an answer. */
  status = 0
  /** The way out, for the person.  @type {string | undefined} */
  link
  /** Seconds.  @type {number | undefined} */
  retryAfter
  /** The missing permission.  @type {string | undefined} */
  scope
  /** In the operator's log.  @type {string | undefined} */
  ref

  /** @param {string} message @param {Partial<BundleError>} [fields] */
  constructor(message, fields) {
    super(message)
    Object.assign(this, fields, { name: new.target.name })
  }
}

/** Only signing in helps; `link` does it and comes back here. */
export class SignInRequired extends BundleError {}

/** The permission `scope` is missing; `link` asks for it and comes back here. */
export class PermissionMissing extends BundleError {}

/** Try again after `retryAfter` seconds. */
export class SlowDown extends BundleError {}

/**
 * @typedef {object} SignInOptions
 * @property {'personal' | 'work' | 'any'} [account]
 * @property {string} [scope] permissions, separated by blanks
 * @property {string | URL} [returnTo] else this page
 * @property {'code' | 'token'} [flow]
 * @property {'none' | 'login' | 'consent' | 'select_account'} [prompt]
 * @property {string} [login_hint]
 * @property {string} [domain_hint]
 *
 * @typedef {object} Session times are RFC 3339, UTC
 * @property {boolean} signed_in
 * @property {{ kind: 'personal' | 'work', username: string, name: string }} [account]
 * @property {string[]} [scopes]
 * @property {string} [expires_at]
 * @property {string} [refreshed_at]
 * @property {{ state: string, reason: string | null, reconnect_url: string | null }} [health]
 * @property {string} [consent_url]
 */

/**
 * For functions elsewhere; this module's own are those of `createClient()`.
 * @param {{ baseUrl?: string | URL }} [options] as https://api.example.com/api; else where this file was served, or /api here
 */
export function createClient({ baseUrl } = {}) {
  const base = `${baseUrl || /^https?:.*\/api(?=\/client\.js)/.exec(import.meta.url) || '/api'}`.replace(/\/*$/, '/')
  const at = (/** @type {string} */ path) => new URL(path, new URL(base, location.href))
  /** @type {Set<(session: Session) => void>} */
  const callbacks = new Set()
  /** @type {BroadcastChannel | undefined} */
  let channel
  /** @type {string | undefined} */
  let known
  /** @type {Promise<void> | undefined} */
  let asking
  let askedAt = 0
  let turns = 0
  let newest = 0

  /** For a link.  @param {SignInOptions} [options] */
  function signInLink({ returnTo, ...query } = {}) {
    const url = back(at('auth/login'), returnTo)
    for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value)
    return url.href
  }

  /** Leave for Microsoft's sign-in.  @param {SignInOptions} [options] */
  function signIn(options) {
    location.assign(signInLink(options))
  }

  /**
   * End the session, then leave for Microsoft's sign-out and `returnTo`.
   * @param {{ returnTo?: string | URL, signal?: AbortSignal }} [options]
   */
  async function signOut({ returnTo, signal } = {}) {
    const { url } = await json(back(at('auth/logout'), returnTo), { method: 'POST', signal })
    open().postMessage('')
    location.assign(url)
  }

  /**
   * Who is signed in: `signed_in` is false where nobody is. Throws where it can't be told.
   * @param {{ signal?: AbortSignal }} [options]
   */
  async function session({ signal } = {}) {
    const before = known
    const now = await ask(signal)
    if (known !== before) open().postMessage(known)
    return now
  }

  /**
   * Calls back when there is another session or none, or its permissions or health change: noticed in this page's calls,
   * by other tabs, and on coming back here.
   * @param {(session: Session) => void} callback
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {() => void} ends it, as `signal` does
   */
  function onSessionChange(callback, { signal } = {}) {
    if (signal?.aborted) return () => {}
    const listening = new AbortController()
    const own = (/** @type {Session} */ now) => callback(now)
    const stop = () => {
      listening.abort()
      callbacks.delete(own)
    }
    signal?.addEventListener('abort', stop)
    callbacks.add(own)
    open()
    for (const name of ['focus', 'pageshow', 'visibilitychange']) window.addEventListener(name, onReturn, listening)
    return stop
  }

  /**
   * `fetch` for OneNote, through the bundle. Waits out a short "slow down" where the call may be repeated; repeats a GET once
   * where there was no answer. Other answers are returned, 404 too.
   * @param {string | URL} path as Graph's documents write it, or an address at Graph or at the bundle
   * @param {RequestInit} [init]
   * @throws {BundleError} SignInRequired, PermissionMissing, SlowDown, or `unreachable`
   */
  async function fetch(path, init) {
    const response = await send(target(`${path}`), init)
    if (response.ok) return response
    const error = await errorOf(response)
    if (error.constructor === BundleError) return response
    if (error instanceof SignInRequired) refresh()
    throw error
  }

  /** What a failed sign-in left in the address, taken out of it; `access_denied` is the person's no. */
  function signInError() {
    const fields = new URLSearchParams(location.hash.slice(1))
    const code = fields.get('error')
    if (!code) return null
    history.replaceState(history.state, '', location.pathname + location.search)
    return new BundleError(fields.get('error_description') || '', { code, link: signInLink() })
  }

  /** @param {string} path */
  function target(path) {
    const root = at('graph/').href
    const [, host, rest] = /** @type {string[]} */ (/^(https?:\/\/[^/]+)?\/*([^]*)$/i.exec(path))
    const versioned = /^(v1\.0|beta)\//.test(rest)
    const own = path.startsWith(root)
    const url = new URL(own ? path : root + (versioned ? '' : 'v1.0/') + rest)
    if (url.href.startsWith(root) && (own || versioned || !host)) return url
    throw new TypeError(`${path} is no address of Graph`)
  }

  /** @param {AbortSignal} [signal] @returns {Promise<Session>} */
  function ask(signal) {
    const turn = ++turns
    const done = () => {
      if (turn === turns) asking = undefined
    }
    askedAt = Date.now()
    const answer = json(back(at('auth/session')), { signal }).then((/** @type {Session} */ now) => {
      const print = JSON.stringify([now.account, now.scopes, now.health?.state, now.health?.reason])
      if (turn < newest) return now // overtaken
      newest = turn
      if (print !== known) {
        known = print
        for (const callback of callbacks) callback(now)
      }
      return now
    })
    asking = answer.then(done, done)
    return answer
  }

  /** One call for all, after one under way. Tells no tab: two that hear different answers would never stop. */
  async function refresh(heard = '') {
    await asking
    if (!asking && heard !== known) ask().catch(() => {})
  }

  function open() {
    if (!channel) {
      channel = new BroadcastChannel(`onenote-auth ${at('')}`)
      channel.onmessage = ({ data }) => callbacks.size && refresh(data)
    }
    return channel
  }

  /** @param {Event} event */
  function onReturn(event) {
    const stored = 'persisted' in event && event.persisted
    if (!document.hidden && (stored || Date.now() - askedAt > SPACING_MS)) refresh()
  }

  return { signInLink, signIn, signOut, session, onSessionChange, fetch, signInError }
}

export const { signInLink, signIn, signOut, session, onSessionChange, fetch, signInError } = createClient()

/** A refusing answer as an error, with OneNote's refusals in plain words.  @param {Response} response */
export async function errorOf(response) {
  const { status } = response
  const body = (isJson(response) && (await response.clone().json().catch(() => 0))) || {}
  const { ref, reconnect_url, explanation } = body
  const { scope, login_url } = explanation || {}
  const retryAfter = retryAfterOf(response)
  const code = explanation?.code || body.code || body.error?.code || `http_${status}`
  // It becomes a href.
  const way = login_url || reconnect_url
  const link = /^https?:\/\/\w/.test(way) ? back(new URL(way)).href : undefined
  const Kind = !link ? (retryAfter || status === 429 ? SlowDown : BundleError) : login_url ? PermissionMissing : SignInRequired
  const detail = Kind === SignInRequired ? 'Please sign in to go on.' : explanation?.detail || body.detail || body.error?.message
  return new Kind(detail || `The server answered ${status}.`, { code, status, scope, ref, retryAfter, link })
}

const isJson = (/** @type {Response} */ response) => /\bjson\b/.test(response.headers.get('content-type') || '')

/** Seconds.  @param {Response} response */
const retryAfterOf = (response) => parseInt(response.headers.get('retry-after') || '') || undefined

/** @param {URL} url @param {string | URL} [returnTo] */
function back(url, returnTo = location.href.split('#')[0]) {
  url.searchParams.set('return_to', new URL(returnTo, location.href).href)
  return url
}

/** @param {URL} url @param {RequestInit} init */
async function json(url, init) {
  const response = await send(url, { ...init, headers: { accept: 'application/json' } })
  if (!response.ok || !isJson(response)) throw await errorOf(response)
  return response.json()
}

/** @param {URL} url @param {RequestInit} [init] */
async function send(url, init = {}) {
  const safe = /^(GET|HEAD)$/i.test(init.method || 'GET')
  for (let tries = 1; ; tries++) {
    let wait = 0.5
    try {
      const response = await globalThis.fetch(url, { credentials: 'include', ...init })
      // After a 429 nothing was done.
      const repeatable = !response.ok && (safe || (response.status === 429 && !(init.body instanceof ReadableStream)))
      wait = retryAfterOf(response) || Infinity
      if (!repeatable || wait > LONGEST_WAIT_S || tries === TRIES) return response
    } catch (cause) {
      init.signal?.throwIfAborted()
      if (!safe || tries > 1) throw new BundleError('The server can’t be reached.', { code: 'unreachable', cause })
    }
    await new Promise((resolve, reject) => {
      setTimeout(resolve, wait * 1000)
      init.signal?.addEventListener('abort', () => reject(init.signal?.reason))
    })
  }
}
