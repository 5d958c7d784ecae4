// The suite for HTTP caches by Mark Nottingham (cache-tests.fyi).
//
// Without arguments its origin: prints its port on 127.0.0.1 and ends with its standard input. With the URL of a cache before
// that origin: runs every test against it and prints a line of JSON for each, { id, kind, passed, why }.
import http from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import path from 'node:path'

const require = createRequire(import.meta.url)
const suite = path.dirname(require.resolve('http-cache-tests/package.json'))
const part = name => import(pathToFileURL(path.join(suite, name)))

async function origin () {
  const handlers = {}
  for (const name of ['config', 'state', 'test']) {
    handlers[name] = (await part(`server/handle-${name}.mjs`)).default
  }
  const server = http.createServer((request, response) => {
    const [, kind, ...rest] = new URL(request.url, 'http://localhost').pathname.split('/')
    const handler = handlers[kind]
    if (handler) return handler(rest, request, response)
    response.statusCode = 404
    response.end()
  })
  // Longer than the gateway keeps an unused connection.
  server.keepAliveTimeout = 120_000
  server.listen(0, '127.0.0.1', () => console.log(server.address().port))
  process.stdin.on('end', () => process.exit(0)).resume()
}

async function run (base, only) {
  const suites = [...(await part('tests/index.mjs')).default, (await part('tests/surrogate-control.mjs')).default]
  const fetch = (await import(pathToFileURL(createRequire(path.join(suite, 'package.json')).resolve('node-fetch')))).default
  const config = await part('client/config.mjs')
  const { makeCacheTest, testResults: results } = await part('client/test.mjs')
  config.setFetch(fetch)
  config.setBaseUrl(base)
  config.setUseBrowserCache(false)
  let tests = suites.flatMap(suite => suite.tests).filter(test => test.browser_only !== true)
  if (only) {
    tests = tests.filter(test => test.id === only)
    tests.forEach(test => { test.dump = true })
  }
  // Lifetimes are two seconds, pauses three: where the machine is busy a test may fail that would not. It may try again.
  for (let round = 0, left = tests; round < 3 && left.length > 0; round++) {
    left.forEach(test => { delete results[test.id] })
    for (let at = 0; at < left.length; at += 150) {
      await Promise.all(left.slice(at, at + 150).map(makeCacheTest))
    }
    left = left.filter(test => results[test.id] !== true && test.kind !== 'check')
  }
  const byId = new Map(tests.map(test => [test.id, test]))
  const passed = id => results[id] === true && (byId.get(id)?.depends_on ?? []).every(passed)
  for (const { id, kind = 'required' } of tests) {
    const why = results[id] === true ? (passed(id) ? '' : 'depends on one that fails') : results[id].join(': ')
    console.log(JSON.stringify({ id, kind, passed: passed(id), why }))
  }
}

const [base, only] = process.argv.slice(2)
await (base ? run(base, only) : origin())
