/**
 * The demo page: who is signed in, five notebooks by name, and the embedded stack's timer and clock.
 *
 * It holds no token and asks for none: the session is a cookie that scripts cannot read (R-16). Whatever comes
 * from outside is written with textContent only. The parts marked data-local appear where the embedded stack's
 * control API answers; against a deployed bundle the page shows the account and the notebooks.
 */

const NOTEBOOKS = '/api/graph/v1.0/me/onenote/notebooks?$top=5&$orderby=displayName'

/** Title and text for the codes that come back in the address's fragment (RFC 6749 §4.1.2.1); the rest use their description. */
const SIGN_IN_ERRORS = {
  access_denied: ['You did not give access', 'Nothing was stored and nothing was shared. You can sign in whenever you like.'],
  temporarily_unavailable: ['The sign-in service is busy', 'Please try again in a few minutes.'],
}

/** What a person reads for each reason why only a new sign-in helps (R-13). */
const REAUTH_REASONS = {
  consent_revoked: 'The access you had given was taken back. Sign in again if you want to go on.',
  grant_revoked: 'Your earlier sign-ins were ended, by you or by an administrator.',
  grant_expired: 'The earlier sign-in has run out.',
  sign_in_frequency: 'Your organization wants you to sign in more often.',
  password_changed: 'Your password has changed since you signed in.',
  password_expired: 'Your password has expired. You can set a new one while you sign in.',
  mfa_required: 'Your organization wants one more proof that it is you.',
  device_required: 'Your organization lets only devices in that it manages.',
  admin_consent_required: 'An administrator of your organization has to approve this app first.',
  not_assigned: 'An administrator of your organization has to give you this app first.',
  blocked_by_policy: 'A rule of your organization stands in the way. Its help desk knows more.',
  account_disabled: 'This account has been disabled. The help desk of your organization knows more.',
  account_locked: 'This account is locked for the moment.',
  wrong_account: 'This account can’t be used here. You can choose another one.',
  token_flow_expired: 'This sign-in was a short one and its time is over.',
}

/** Sign-in and sign-out come back to where the person is. The server checks the address. */
const here = location.origin + location.pathname

const KINDS = { personal: 'Personal account', work: 'Work or school account' }

const $ = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))

/** An answer that is not a success: `title` and `detail` are written for people (RFC 9457). */
class Problem extends Error {
  constructor(status, body) {
    // OneNote's own errors pass as they are; `explanation` says them in plain words.
    super(body.explanation?.detail || body.detail || body.title || 'Something went wrong.')
    this.status = status
    this.code = body.code || ''
    this.title = body.title || 'That did not work'
    this.ref = body.ref || ''
  }
}

/** @returns {Promise<any>} the JSON answer; throws Problem for an error, or for something that is no JSON */
async function getJson(url, init = {}) {
  let response
  try {
    response = await fetch(url, { cache: 'no-store', ...init, headers: { accept: 'application/json', ...init.headers } })
  } catch {
    throw new Problem(0, { title: 'No answer', detail: 'The server can’t be reached. Check that it is still running.' })
  }
  const isJson = /\bjson\b/.test(response.headers.get('content-type') || '')
  const body = isJson ? await response.json().catch(() => ({})) : {}
  if (!response.ok || !isJson) throw new Problem(response.status, body)
  return body
}

/** The stack asks for this header, so that no other site's page can drive it. */
const control = (path, body) =>
  getJson(`/_local/${path}`, {
    method: 'POST',
    headers: { 'x-local-control': '1', 'content-type': 'application/json' },
    body: JSON.stringify(body || {}),
  })

/** Absolute, in the reader's own time zone: the stack's clock may be days ahead, so "in 5 minutes" would mislead. */
function showTime(element, iso, fallback = '–') {
  element.replaceChildren()
  const at = new Date(iso || NaN)
  if (Number.isNaN(at.getTime())) {
    element.textContent = fallback
    return
  }
  const time = document.createElement('time')
  time.dateTime = at.toISOString()
  time.textContent = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' }).format(at)
  element.append(time)
}

function showBanner(title, text, tone = '') {
  $('banner').className = `banner ${tone}`
  $('banner-title').textContent = title
  $('banner-text').textContent = text
  $('banner').hidden = false
}

/** Reads `#error=…&error_description=…` (R-14), says it, and cleans the address so that a reload or a bookmark doesn't repeat it. */
function readFragment() {
  const fragment = new URLSearchParams(location.hash.slice(1))
  const code = fragment.get('error')
  if (!code) return
  const [title, text] = SIGN_IN_ERRORS[code] || [
    'Signing in did not work',
    fragment.get('error_description') || 'Please try again. If it happens again, tell whoever runs this site.',
  ]
  showBanner(title, text, code === 'access_denied' ? 'calm' : '')
  history.replaceState(null, '', location.pathname + location.search)
}

// Account ------------------------------------------------------------------------------------------------------

function showAccount(view) {
  for (const id of ['account-loading', 'account-unknown', 'signed-out', 'signed-in']) $(id).hidden = id !== view
  $('notebooks').hidden = view !== 'signed-in'
  $('account').setAttribute('aria-busy', String(view === 'account-loading'))
}

function showHealth(health) {
  const broken = health && health.state === 'reauth_required'
  $('reconnect').hidden = !broken
  if (!broken) return
  $('reconnect-text').textContent = REAUTH_REASONS[health.reason] || 'Microsoft no longer accepts the earlier sign-in.'
  const link = new URL(health.reconnect_url || '/api/auth/login', location.origin)
  if (/^https?:$/.test(link.protocol)) $('reconnect-link').setAttribute('href', link.href)
}

async function loadSession() {
  let session
  try {
    session = await getJson(`/api/auth/session?return_to=${encodeURIComponent(here)}`)
  } catch (problem) {
    $('account-unknown-text').textContent = `We can’t tell at the moment whether you are signed in. ${problem.message}`
    showHealth(null)
    showAccount('account-unknown')
    return
  }
  if (!session.signed_in) {
    $('notebooks-list').replaceChildren()
    $('notebooks-list').hidden = true
    $('notebooks-status').textContent = 'None listed yet.'
    showHealth(session.health) // ended, and there is a reason to tell
    showAccount('signed-out')
    return
  }
  const { account } = session
  const name = account.name || account.username
  $('name').textContent = name
  $('username').textContent = account.username
  $('kind').textContent = KINDS[account.kind] || account.kind
  $('avatar').textContent = [...name][0]?.toUpperCase() || ''
  $('scopes').textContent = (session.scopes || []).join(', ') || '–'
  showTime($('refreshed-at'), session.refreshed_at)
  showTime($('expires-at'), session.expires_at)
  showHealth(session.health)
  showAccount('signed-in')
}

// Notebooks ----------------------------------------------------------------------------------------------------

function notebookRow(notebook) {
  const row = document.createElement('li')
  const name = document.createElement('strong')
  name.textContent = notebook.displayName
  const changed = document.createElement('span')
  changed.className = 'muted'
  const at = new Date(notebook.lastModifiedDateTime || NaN)
  if (!Number.isNaN(at.getTime())) {
    changed.textContent = `changed ${new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' }).format(at)}`
  }
  row.append(name, changed)
  return row
}

async function listNotebooks() {
  const list = $('notebooks-list')
  list.className = 'notebooks loading'
  list.replaceChildren(...Array.from({ length: 5 }, () => document.createElement('li')))
  list.hidden = false
  list.setAttribute('aria-busy', 'true')
  $('notebooks-status').textContent = 'Listing your notebooks…'
  let rows = []
  try {
    rows = (await getJson(NOTEBOOKS)).value.map(notebookRow)
    $('notebooks-status').textContent =
      rows.length === 0 ? 'You have no notebooks yet.' : `${rows.length} ${rows.length === 1 ? 'notebook' : 'notebooks'}, by name.`
  } catch (problem) {
    $('notebooks-status').textContent = `${problem.title}. ${problem.message}${problem.ref ? ` (Reference ${problem.ref})` : ''}`
  }
  list.className = 'notebooks'
  list.removeAttribute('aria-busy')
  list.replaceChildren(...rows)
  list.hidden = rows.length === 0
  await Promise.all([loadSession(), loadStack()]) // the token may have been renewed on the way, or the session found dead
}

// The embedded stack -------------------------------------------------------------------------------------------

let hasStack = true

function clockText(state) {
  const hours = Math.round(state.clock_offset_s / 360) / 10
  const ahead = hours === 0 ? '' : ` (${hours} hours ahead)`
  return new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(state.now)) + ahead
}

async function loadStack() {
  if (!hasStack) return
  let state
  try {
    state = await getJson('/_local/state')
  } catch {
    hasStack = false // served by something else than the embedded stack, or the stack has ended
    for (const part of document.querySelectorAll('[data-local]')) part.hidden = true
    return
  }
  for (const part of document.querySelectorAll('[data-local]')) part.hidden = false
  const timer = state.timers.find((t) => t.name === state.timer) || {}
  showTime($('timer-next'), timer.next)
  showTime($('timer-last'), timer.last, 'Not yet')
  $('clock').textContent = clockText(state)
  $('consent-page').setAttribute('href', state.services.consent_page)
  if ($('vault').open) await loadVault()
}

async function loadVault() {
  const { vaults } = await getJson('/_local/vaults')
  const rows = vaults.flatMap((vault) => [...vault.secrets, ...vault.deleted.map((secret) => ({ ...secret, gone: true }))])
  $('vault-list').replaceChildren(
    ...rows.map((secret) => {
      const row = document.createElement('li')
      const tags = Object.entries(secret.tags || {}).map(([key, value]) => `${key}=${value}`)
      row.textContent = [secret.gone ? `${secret.name} (deleted, waits to be purged)` : secret.name, ...tags].join(' · ')
      return row
    }),
  )
  if (rows.length === 0) $('vault-list').append(Object.assign(document.createElement('li'), { textContent: 'Nothing.' }))
}

/** Runs `work` for a button: one at a time, the button says so, and the outcome is read out from `status`. */
function onClick(button, status, work) {
  button.addEventListener('click', async () => {
    if (button.getAttribute('aria-disabled') === 'true') return
    button.setAttribute('aria-disabled', 'true') // not `disabled`: that would take the keyboard's focus away
    try {
      const said = await work()
      if (status) status.textContent = said
    } catch (problem) {
      if (status) status.textContent = `${problem.title}. ${problem.message}`
    } finally {
      button.removeAttribute('aria-disabled')
    }
  })
}

const reload = () => Promise.all([loadSession(), loadStack()])

onClick($('list'), null, listNotebooks)
onClick($('account-retry'), null, reload)
onClick($('run-timer'), $('timer-status'), async () => {
  $('timer-status').textContent = 'Running…'
  const ran = await control('timer')
  await reload()
  return `The timer ran and took ${Math.max(1, Math.round(ran.took_s * 1000))} ms.`
})
onClick($('expire'), $('try-status'), async () => {
  await control('expire-access-tokens')
  return 'The provider and OneNote now refuse the access token. List the notebooks: it still works.'
})
onClick($('day'), $('try-status'), async () => {
  await control('clock', { advance_s: 24 * 3600 })
  await reload()
  return 'It is a day later for the whole stack. Run the timer, or list the notebooks right away.'
})
$('vault').addEventListener('toggle', () => $('vault').open && loadVault().catch(() => {}))
$('banner-close').addEventListener('click', () => {
  $('banner').hidden = true
  $('main').focus()
})

for (const link of document.querySelectorAll('a[data-account]')) {
  link.href = `/api/auth/login?account=${link.dataset.account}&return_to=${encodeURIComponent(here)}`
}
$('sign-out').setAttribute('action', `/api/auth/logout?return_to=${encodeURIComponent(here)}`)

window.addEventListener('hashchange', readFragment)
window.addEventListener('pageshow', (event) => event.persisted && reload()) // back from the provider by the back button
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && loadSession()) // signed out in another tab

readFragment()
reload()
