/** What the demo page's scripts share: elements by id, times, buttons that work. Knows nothing of OneNote. */

export const $ = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id))

/** A new element; `content` is text or elements, never markup. */
export function make(name, properties = {}, ...content) {
  const element = Object.assign(document.createElement(name), properties)
  element.append(...content.filter(Boolean))
  return element
}

export function day(iso) {
  const at = new Date(iso || NaN)
  return Number.isNaN(at.getTime()) ? '' : new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' }).format(at)
}

export function moment(iso) {
  return new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(iso))
}

/** Absolute, in the reader's own time zone: the stack's clock may be days ahead, so "in 5 minutes" would mislead. */
export function showTime(element, iso, fallback = '–') {
  element.replaceChildren(iso ? make('time', { dateTime: iso }, moment(iso)) : fallback)
}

/** Runs `work` for a button or a form: one at a time, and whatever goes wrong is handed to `failed`. */
export function on(element, event, work, failed) {
  const button = element.matches('form') ? element.querySelector('button:not([type])') : element
  element.addEventListener(event, async (happened) => {
    happened.preventDefault()
    if (button.getAttribute('aria-disabled') === 'true') return
    button.setAttribute('aria-disabled', 'true') // not `disabled`: that would take the keyboard's focus away
    try {
      await work()
    } catch (error) {
      failed(error)
    } finally {
      button.removeAttribute('aria-disabled')
    }
  })
}
