/**
 * A page of OneNote: its content, and how a new one is written.
 *
 * The content is somebody's HTML. It stands in a frame that runs no script, and only its looks are touched from here.
 */

import { BundleError, errorOf } from '/api/client.js'
import { $, day, make } from '/dom.js'

/** Shows a page; false where another one was opened meanwhile. Throws what OneNote says instead. */
export async function showPage({ title, contentUrl, lastModifiedDateTime, links }) {
  const frame = make('iframe', { title: `Content of ${title || 'the page'}` })
  frame.setAttribute('sandbox', 'allow-same-origin') // and never allow-scripts
  frame.src = contentUrl
  $('page-title').textContent = title || 'Untitled'
  $('page-changed').textContent = `Changed ${day(lastModifiedDateTime)}`
  $('page-web').href = links.oneNoteWebUrl.href
  $('page-files').replaceChildren()
  $('page-frame').replaceChildren(frame) // a new frame each time: its addresses leave nothing in the history
  $('page-view').hidden = false
  $('page-view').setAttribute('aria-busy', 'true')
  await new Promise((done) => (frame.onload = done))
  if (!frame.isConnected) return false
  $('page-view').removeAttribute('aria-busy')
  const { contentType, body, documentElement } = frame.contentDocument || {}
  if (contentType !== 'text/html') {
    $('page-view').hidden = true
    if (!body) throw new BundleError('The page can’t be reached.', { code: 'unreachable' })
    throw await errorOf(new Response(body.textContent, { status: 502, headers: { 'content-type': contentType } }))
  }
  body.style.fontFamily = [body.style.fontFamily, 'sans-serif'].filter(Boolean).join()
  const files = [...body.querySelectorAll('object[data-attachment]')]
  for (const file of files) file.style.display = 'none' // blocked in there; listed below
  // OneNote gives its boxes places on a wide, open canvas. One alone, or a narrow screen, needs none.
  if (body.children.length === 1 || documentElement.scrollWidth > documentElement.clientWidth) {
    Object.assign(body.style, { margin: '1.25rem' })
    for (const box of body.children) Object.assign(box.style, { position: 'static', width: 'auto' })
    for (const image of body.querySelectorAll('img')) Object.assign(image.style, { maxWidth: '100%', height: 'auto' })
  }
  frame.style.height = `${documentElement.scrollHeight + 4}px`
  const link = ({ data, dataset }) => make('a', { href: data, download: dataset.attachment }, dataset.attachment)
  $('page-files').append(...files.map((file) => make('li', {}, link(file))))
  return true
}

/** As Graph's documents have it: a form whose first part is the page, and pictures by their part's name. */
export function pageParts(title, text, picture) {
  const page = document.implementation.createHTMLDocument(title)
  page.body.append(...text.split(/\n+/).map((line) => make('p', {}, line)))
  if (picture) page.body.append(make('img', { alt: picture.name }))
  page.querySelector('img')?.setAttribute('src', 'name:picture')
  const parts = new FormData()
  parts.append('Presentation', new Blob([`<!doctype html>${page.documentElement.outerHTML}`], { type: 'text/html' }))
  if (picture) parts.append('picture', picture)
  return parts
}
