import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { projectFolder } from './home.ts'

export interface Document {
  type: string
  body: Buffer
}

/** Swagger UI sets styles on elements; scripts only from files of our own. */
export const docsPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

const page = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Parley API</title>
  <link rel="stylesheet" href="/docs/swagger-ui.css">
  <link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
  <div id="swagger-ui"></div>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/open.js"></script>
</body>
</html>
`
const open = `window.ui = SwaggerUIBundle({ url: '/docs/openapi.json', dom_id: '#swagger-ui', deepLinking: true, docExpansion: 'none', filter: true, displayRequestDuration: true, validatorUrl: null })
`

/**
 * Everything under /docs by its path, read once: the API's pages, the contracts of calls and events. A list and not a folder:
 * there is no path that could lead elsewhere.
 */
export function readDocs(): ReadonlyMap<string, Document> {
  const swagger = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
  const html = { type: 'text/html; charset=utf-8', body: Buffer.from(page) }
  const files: [string, string, string][] = [
    ['swagger-ui.css', 'text/css; charset=utf-8', join(swagger, 'swagger-ui.css')],
    ['swagger-ui-bundle.js', 'text/javascript; charset=utf-8', join(swagger, 'swagger-ui-bundle.js')],
    ['favicon-32x32.png', 'image/png', join(swagger, 'favicon-32x32.png')],
    ['openapi.json', 'application/json; charset=utf-8', join(projectFolder, 'docs', 'openapi.json')],
    ['asyncapi.json', 'application/json; charset=utf-8', join(projectFolder, 'docs', 'asyncapi.json')],
  ]
  return new Map<string, Document>([
    ['/docs', html],
    ['/docs/open.js', { type: 'text/javascript; charset=utf-8', body: Buffer.from(open) }],
    ...files.map(([name, type, file]): [string, Document] => [`/docs/${name}`, { type, body: readFileSync(file) }]),
  ])
}
