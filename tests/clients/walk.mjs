// The official Microsoft Graph JavaScript client on the pass-through: one walk, each step's outcome printed as JSON.
// Changed against its documentation: the base URL, and a middleware that sends the session's cookie in place of a token.
import { createRequire } from 'node:module'

const require = createRequire(`${process.env.NODE_MODULES}/`)
const graph = require('@microsoft/microsoft-graph-client')

class SessionCookie {
  async execute(context) {
    context.options.headers = { ...context.options.headers, cookie: process.env.SESSION_COOKIE }
    await this.next.execute(context)
  }
  setNext(next) {
    this.next = next
  }
}

const client = graph.Client.initWithMiddleware({
  baseUrl: `${process.env.GRAPH}/`,
  middleware: [
    new SessionCookie(),
    new graph.RetryHandler(),
    new graph.RedirectHandler(),
    new graph.TelemetryHandler(),
    new graph.HTTPMessageHandler(),
  ],
})

const picture = Buffer.from(process.env.PICTURE, 'base64')
let page

const steps = {
  async list() {
    const found = await client.api('/me/onenote/notebooks').select('id,displayName').orderby('displayName').top(5).get()
    return found.value.map((notebook) => notebook.displayName)
  },
  async paged() {
    const titles = []
    let links = 0
    const first = await client.api(`/me/onenote/sections/${process.env.SECTION}/pages`).orderby('title').get()
    const pages = new graph.PageIterator(client, first, (one) => titles.push(one.title) > 0)
    const next = pages.fetchAndUpdateNextPageData.bind(pages)
    pages.fetchAndUpdateNextPageData = () => (links++, next())
    await pages.iterate()
    return { titles, links }
  },
  async created() {
    const form = new FormData()
    form.append('Presentation', new Blob([process.env.PAGE], { type: 'text/html' }))
    form.append('picture', new Blob([picture], { type: 'image/png' }), 'picture.png')
    page = await client.api(`/me/onenote/sections/${process.env.SPARE}/pages`).post(form)
    return { title: page.title, contentUrl: page.contentUrl }
  },
  async read() {
    return await client.api(page.contentUrl).responseType(graph.ResponseType.TEXT).get()
  },
  async image() {
    const html = await steps.read()
    const data = await client.api(/<img[^>]* src="([^"]+)"/.exec(html)[1]).responseType(graph.ResponseType.ARRAYBUFFER).get()
    return Buffer.from(data).toString('base64')
  },
  async changed() {
    await client.api(page.contentUrl).patch([{ target: 'body', action: 'append', content: '<p>Added</p>' }])
    return await steps.read()
  },
  async batch() {
    const origin = new URL(process.env.GRAPH).origin // the client cuts it off: what is sent is a path
    const content = new graph.BatchRequestContent([
      { id: '1', request: new Request(`${origin}/me/onenote/notebooks?$top=2`) },
      { id: '2', request: new Request(`${origin}/me/onenote/pages/none`) },
    ])
    const answer = new graph.BatchResponseContent(await client.api('/$batch').post(await content.getContent()))
    const shown = {}
    for (const id of ['1', '2']) {
      const response = answer.getResponseById(id)
      shown[id] = { status: response.status, body: await response.json() }
    }
    return shown
  },
  async batchElsewhere() {
    const requests = [{ id: '1', method: 'GET', url: '/me/onenote/notebooks' }, { id: '2', method: 'GET', url: '/me/messages' }]
    return await refusal(() => client.api('/$batch').post({ requests }))
  },
  async missing() {
    return await refusal(() => client.api('/me/onenote/pages/none').get())
  },
  async elsewhere() {
    return await refusal(() => client.api('/me/messages').get())
  },
  async deleted() {
    await client.api(page.self).delete()
    return (await refusal(() => client.api(page.self).get())).status
  },
}

async function refusal(call) {
  try {
    await call()
  } catch (error) {
    const { constructor, statusCode: status, code, requestId } = error
    // What is not application/json, such as a problem, the client leaves as a stream.
    const problem = error.body instanceof ReadableStream ? await new Response(error.body).json() : null
    return { name: constructor.name, status, code, requestId, problem }
  }
  return 'not refused'
}

const outcome = {}
for (const [name, step] of Object.entries(steps)) {
  try {
    outcome[name] = { value: await step() }
  } catch (error) {
    outcome[name] = { failed: `${error.statusCode ?? ''} ${error.code ?? ''} ${error.stack}` }
  }
}
console.log(JSON.stringify(outcome))
