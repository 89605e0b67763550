/**
 * A small OneNote reader: who is signed in, notebooks, sections, pages, new pages.
 *
 * It holds no token and asks for none: the session is a cookie that scripts can't read. Whatever comes from outside
 * is written as text.
 */

import { BundleError, PermissionMissing, errorOf, fetch, onSessionChange, session, signInError, signInLink, signOut } from '/api/client.js'
import { $, day, make, on, showTime } from '/dom.js'
import { pageParts, showPage } from '/page.js'
import { loadStack, start } from '/stack.js'

/** What a person reads for each reason why only a new sign-in helps. */
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
const KINDS = { personal: 'Personal account', work: 'Work or school account' }

// Account ------------------------------------------------------------------------------------------------------

let shownFor = ''

function showAccount(view) {
  for (const id of ['account-loading', 'account-unknown', 'signed-out', 'signed-in']) $(id).hidden = id !== view
  document.body.classList.toggle('reading', view === 'signed-in')
  $('notebooks').hidden = view !== 'signed-in'
  $('account').setAttribute('aria-busy', String(view === 'account-loading'))
}

function showHealth(health) {
  const broken = health?.state === 'reauth_required'
  $('reconnect').hidden = !broken
  $('health').textContent = broken ? 'Needs a new sign-in' : 'Good'
  if (!broken) return
  $('reconnect-text').textContent = REAUTH_REASONS[health.reason] || 'Microsoft no longer accepts the earlier sign-in.'
  $('reconnect-link').href = health.reconnect_url || signInLink()
}

function showSession({ signed_in, account, scopes, refreshed_at, expires_at, health }) {
  showHealth(health)
  showAccount(signed_in ? 'signed-in' : 'signed-out')
  const before = shownFor
  shownFor = signed_in ? account.username : ''
  if (shownFor !== before) {
    clear('notebooks', 'sections', 'pages')
    restoreDraft()
  }
  if (!signed_in) return
  const name = account.name || account.username
  $('name').textContent = name
  $('username').textContent = account.username
  $('kind').textContent = KINDS[account.kind]
  $('avatar').textContent = [...name][0]?.toUpperCase() || ''
  $('scopes').textContent = scopes.join(', ') || '–'
  showTime($('refreshed-at'), refreshed_at)
  showTime($('expires-at'), expires_at)
  if (shownFor !== before && health.state !== 'reauth_required') $('list').click()
}

async function reload() {
  const stack = loadStack()
  try {
    showSession(await session())
  } catch (error) {
    $('account-unknown-text').textContent = `We can’t tell at the moment whether you are signed in. ${error.message}`
    showHealth()
    showAccount('account-unknown')
  }
  await stack
}

// Lists --------------------------------------------------------------------------------------------------------

/** A new choice ends what an earlier one has not finished. */
let turn = new AbortController()
let section = null

/** JSON of a OneNote path, or what went wrong in words. */
async function ask(path, init) {
  const answer = await fetch(path, { signal: turn.signal, ...init })
  if (!answer.ok) throw await errorOf(answer)
  return answer.json()
}

/** Says it where screen readers hear it, with the way out where there is one. */
function say(words, link, linkWords) {
  $('notebooks-status').replaceChildren(words, link ? make('a', { href: link, className: 'button primary' }, linkWords) : '')
}

function explain(error) {
  if (error.name === 'AbortError') return
  if (!(error instanceof BundleError)) throw error
  sayWhy(error)
  $('notebooks-status').scrollIntoView({ block: 'nearest' }) // what failed may stand a screen below
}

function sayWhy(error) {
  if (error instanceof PermissionMissing) return say(`This needs one more permission from you: ${error.scope}.`, error.link, 'Allow it')
  const wait = error.retryAfter ? ` Try again in ${error.retryAfter} seconds.` : ''
  say(error.message + wait + (error.ref ? ` (Reference ${error.ref})` : ''), error.link, 'Sign in again')
}

function clear(...names) {
  for (const name of names) $(`${name}-list`).replaceChildren()
  for (const name of names) $(`${name}-column`).dataset.empty = ''
  if (names.includes('pages')) $('new-page').hidden = $('page-view').hidden = true
}

/** Fills a column with what `path` lists, skeletons first; `open` is what a click on a row does. */
async function fill(name, path, open, note = ({ lastModifiedDateTime }) => day(lastModifiedDateTime)) {
  turn.abort()
  turn = new AbortController()
  const list = $(`${name}-list`)
  list.replaceChildren(...Array.from({ length: 5 }, () => make('li', { className: 'loading' })))
  delete $(`${name}-column`).dataset.empty
  list.setAttribute('aria-busy', 'true')
  const { signal } = turn
  try {
    const found = await ask(path)
    const row = (thing) => {
      const button = make('button', { type: 'button', className: 'item' }, make('strong', {}, thing.displayName || thing.title || 'Untitled'), make('span', {}, note(thing)))
      button.addEventListener('click', () => {
        for (const other of list.querySelectorAll('[aria-current]')) other.removeAttribute('aria-current')
        button.setAttribute('aria-current', 'true')
        open(thing).catch(explain)
      })
      return make('li', {}, button)
    }
    const add = ({ value, '@odata.nextLink': next }) => {
      list.append(...value.map(row))
      if (!list.firstChild) list.append(make('li', { className: 'hint muted' }, 'Nothing here.'))
      if (!next) return
      const more = make('li', {}, make('button', { type: 'button', className: 'quiet' }, 'More'))
      on(more.firstChild, 'click', async () => (add(await ask(next)), more.nextElementSibling?.firstChild.focus(), more.remove()), explain)
      list.append(more)
    }
    list.replaceChildren()
    add(found)
    return found.value.length
  } finally {
    if (!signal.aborted) {
      list.removeAttribute('aria-busy')
      if (list.querySelector('.loading')) clear(name)
    }
  }
}

const counted = (count, thing) => `${count || 'No'} ${thing}${count === 1 ? '' : 's'}`

async function listNotebooks() {
  clear('sections', 'pages')
  say('Listing your notebooks…')
  try {
    const count = await fill('notebooks', '/me/onenote/notebooks?$top=5&$orderby=displayName', openNotebook)
    const kept = draft() ? ' The page that you were writing is kept, without its picture: open its section.' : ''
    say(count ? `${counted(count, 'notebook')}, by name.${kept}` : 'You have no notebooks yet.')
  } catch (error) {
    explain(error)
  }
  await reload() // the token may have been renewed on the way, or the session found dead
}

async function openNotebook({ id, displayName }) {
  clear('pages')
  say(`Opening ${displayName}…`)
  const count = await fill('sections', `/me/onenote/notebooks/${id}/sections?$orderby=displayName`, openSection)
  say(`${counted(count, 'section')} in ${displayName}.`)
  comeInto('sections-column')
}

async function openSection(opened) {
  clear('pages')
  section = opened
  say(`Opening ${section.displayName}…`)
  const count = await fill('pages', `/me/onenote/sections/${section.id}/pages?$top=20`, openPage)
  say(`${counted(count, 'page')} of ${section.displayName} shown.`)
  $('new-page-section').textContent = section.displayName
  $('new-page').hidden = false
  $('new-page').open = Boolean(draft())
  comeInto('pages-column')
}

async function findPages() {
  const wanted = $('find-text').value.trim().toLowerCase()
  if (!wanted) return
  clear('sections', 'pages')
  $('notebooks-list').querySelector('[aria-current]')?.removeAttribute('aria-current') // pages of all notebooks are listed
  say('Looking…')
  const filter = encodeURIComponent(`contains(tolower(title),'${wanted.replaceAll("'", "''")}')`)
  const count = await fill('pages', `/me/onenote/pages?$top=20&$filter=${filter}`, openPage, (page) => page.parentSection?.displayName || '')
  say(`${counted(count, 'page')} with “${wanted}” in the title shown.`)
  comeInto('pages-column')
}

/** On a phone the columns stand below each other. */
function comeInto(id) {
  if (matchMedia('(max-width: 48rem)').matches) $(id).scrollIntoView({ block: 'start' })
}

// A page -------------------------------------------------------------------------------------------------------

async function openPage(page) {
  say(`Opening ${page.title}…`)
  if (!(await showPage(page))) return
  say(`${page.title} is open.`)
  comeInto('page-view')
}

/** What the person who is signed in was writing, nobody else's: title and text; undefined without. */
function draft() {
  const [writer, ...written] = JSON.parse(sessionStorage.getItem('draft') || '[]')
  return writer && writer === shownFor ? written : undefined
}

function restoreDraft() {
  const form = $('new-page-form')
  form.reset()
  const [title, text] = draft() || ['', '']
  form.elements.title.value = title
  form.elements.text.value = text
}

async function createPage() {
  const { title, text, picture } = $('new-page-form').elements
  sessionStorage.setItem('draft', JSON.stringify([shownFor, title.value, text.value])) // for the way to Microsoft and back
  say('Adding the page…')
  const page = await ask(`/me/onenote/sections/${section.id}/pages`, { method: 'POST', body: pageParts(title.value, text.value, picture.files[0]) })
  sessionStorage.removeItem('draft')
  $('new-page-form').reset()
  await openSection(section)
  openPage(page).catch(explain)
}

// Beginning ----------------------------------------------------------------------------------------------------

/** Says what a failed sign-in left in the address. */
function showSignInError() {
  const error = signInError()
  if (!error) return
  const refused = error.code === 'access_denied'
  $('banner').className = refused ? 'banner calm' : 'banner'
  $('banner-title').textContent = refused ? 'You did not give access' : 'Signing in did not work'
  $('banner-text').textContent = refused
    ? 'Nothing was stored and nothing was shared. You can sign in whenever you like.'
    : error.message || 'Please try again. If it happens again, tell whoever runs this site.'
  $('banner').hidden = false
}

for (const link of document.querySelectorAll('a[data-account]')) link.href = signInLink({ account: link.dataset.account })

on($('list'), 'click', listNotebooks, explain)
on($('find'), 'submit', findPages, explain)
on($('new-page-form'), 'submit', createPage, explain)
on($('sign-out'), 'submit', () => signOut(), explain)
on($('account-retry'), 'click', reload, explain)
on($('banner-close'), 'click', () => (($('banner').hidden = true), $('main').focus()), explain)
window.addEventListener('hashchange', showSignInError)
window.addEventListener('pageshow', (event) => event.persisted && reload()) // back from the provider by the back button

start(reload)
showSignInError()
onSessionChange(showSession)
reload()
