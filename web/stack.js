/**
 * The demo page's controls of the embedded stack: its timer, its clock, what its vault holds.
 *
 * The parts marked data-local appear where the stack's control API answers; against a deployed bundle they stay away.
 */

import { $, make, moment, on, showTime } from '/dom.js'

let hasStack = true

/** The stack asks for the header, so that no other site's page can drive it. */
async function control(path, body) {
  const sent = body && { method: 'POST', body: JSON.stringify(body) }
  const headers = { 'x-local-control': '1', 'content-type': 'application/json' }
  const answer = await fetch(`/_local/${path}`, { ...sent, headers })
  if (!answer.ok) throw new Error('The stack did not do it.')
  return answer.json()
}

function clockText(state) {
  const hours = Math.round(state.clock_offset_s / 360) / 10
  return moment(state.now) + (hours === 0 ? '' : ` (${hours} hours ahead)`)
}

/** Shows the stack's state, if there is a stack. */
export async function loadStack() {
  if (!hasStack) return
  const state = await control('state').catch(() => null)
  hasStack = Boolean(state) // else served by something else than the stack, or the stack has ended
  for (const part of document.querySelectorAll('[data-local]')) part.hidden = !hasStack
  if (!state) return
  const timer = state.timers.find((each) => each.name === state.timer) || {}
  showTime($('timer-next'), timer.next)
  showTime($('timer-last'), timer.last, 'Not yet')
  $('clock').textContent = clockText(state)
  $('consent-page').setAttribute('href', state.services.consent_page)
  if ($('vault').open) await loadVault()
}

async function loadVault() {
  const { vaults } = await control('vaults')
  const gone = (secret) => ({ ...secret, name: `${secret.name} (deleted, waits to be purged)` })
  const secrets = vaults.flatMap((vault) => [...vault.secrets, ...vault.deleted.map(gone)])
  const rows = secrets.map(({ name, tags }) => {
    const words = Object.entries(tags || {}).map(([key, value]) => `${key}=${value}`)
    return make('li', {}, [name, ...words].join(' · '))
  })
  $('vault-list').replaceChildren(...(rows.length ? rows : [make('li', {}, 'Nothing.')]))
}

/** Connects the buttons; `reload` shows the session and the stack anew. */
export function start(reload) {
  const say = (id, work) => [async () => ($(id).textContent = await work()), (error) => ($(id).textContent = error.message)]
  const runTimer = async () => {
    $('timer-status').textContent = 'Running…'
    const ran = await control('timer', {})
    await reload()
    return `The timer ran and took ${Math.max(1, Math.round(ran.took_s * 1000))} ms.`
  }
  const expire = async () => {
    await control('expire-access-tokens', {})
    return 'The provider and OneNote now refuse the access token. List the notebooks: it still works.'
  }
  const passDay = async () => {
    await control('clock', { advance_s: 24 * 3600 })
    await reload()
    return 'It is a day later for the whole stack. Run the timer, or list the notebooks right away.'
  }
  on($('run-timer'), 'click', ...say('timer-status', runTimer))
  on($('expire'), 'click', ...say('try-status', expire))
  on($('day'), 'click', ...say('try-status', passDay))
  $('vault').addEventListener('toggle', () => $('vault').open && loadVault().catch(() => {}))
}
