/**
 * Routes: which of them a request takes, with what parameters, and what there is to say when it takes none.
 *
 * A matcher of its own, and not the router that `@effect/platform` brings with it: that one is no dependency of this
 * package, and knows nothing of what came near.
 *
 * @internal
 */
import { all, type HttpMethod } from "../../../HttpMethod.js"
import { isToken } from "../../../internal/http1/characters.js"

export interface Route<A> {
  /** As it was written. */
  readonly name: string
  /** Any method takes it when there is none. */
  readonly method: string | undefined
  readonly segments: ReadonlyArray<string>
  readonly target: A
}

export interface RouteMatch<A> {
  readonly route: Route<A>
  readonly params: Readonly<Record<string, string>>
}

const wildcard = "*"

const segmentsOf = (path: string): ReadonlyArray<string> => path.slice(1).split("/")

export const parseRoute = <A>(name: string, target: A): Route<A> => {
  // What is behind a question mark is no part of a path, and no request would ever take it.
  const [, method, path] = /^(?:(\S+) )?(\/[^\s?#]*)$/.exec(name) ?? []
  const isMethod = method === undefined || isToken(method)
  const segments = segmentsOf(path ?? "")
  if (path === undefined || !isMethod || segments.slice(0, -1).includes(wildcard) || segments.includes(":")) {
    throw new TypeError(`no route: ${JSON.stringify(name)}, which should be like "GET /users/:id" or "/files/*"`)
  }
  return { name, method, segments, target }
}

/** What was sent when it cannot be decoded: a test of bad clients is to see it. */
const decode = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** The parameters by which a path is a route's, if it is. */
const paramsOf = (
  { segments }: Route<unknown>,
  path: ReadonlyArray<string>
): Readonly<Record<string, string>> | undefined => {
  const isOpen = segments.at(-1) === wildcard
  if (isOpen ? path.length < segments.length : path.length !== segments.length) return undefined
  const params: Array<readonly [name: string, value: string]> = []
  for (const [i, segment] of segments.entries()) {
    const sent = path[i] ?? ""
    if (segment === wildcard) params.push([wildcard, path.slice(i).map(decode).join("/")])
    else if (segment.startsWith(":")) {
      if (sent === "") return undefined
      params.push([segment.slice(1), decode(sent)])
    } else if (segment !== sent && segment !== decode(sent)) return undefined
  }
  return Object.fromEntries(params)
}

/** How well a route's method fits, the best first; `undefined` when it does not. What answers GET answers HEAD. */
const methodFit = (route: Route<unknown>, method: string): number | undefined => {
  if (route.method === method) return 0
  if (route.method === "GET" && method === "HEAD") return 1
  return route.method === undefined ? 2 : undefined
}

/** Its order among the routes of one path: what is written out goes before what is open, segment by segment. */
const specificity = ({ segments }: Route<unknown>, fit: number): string =>
  segments.map((segment) => (segment === wildcard ? 2 : segment.startsWith(":") ? 1 : 0)).join("") + fit

export const matchRoute = <A>(routes: ReadonlyArray<Route<A>>, method: string, path: string): RouteMatch<A> | undefined => {
  const sent = segmentsOf(path)
  let best: (RouteMatch<A> & { readonly rank: string }) | undefined
  for (const route of routes) {
    const fit = methodFit(route, method)
    const params = fit === undefined ? undefined : paramsOf(route, sent)
    if (fit === undefined || params === undefined) continue
    const rank = specificity(route, fit)
    if (best === undefined || rank < best.rank) best = { route, params, rank }
  }
  return best
}

/** The methods that would have been answered on this path: of the nine, and of those that the routes name. */
export const allowedMethods = (routes: ReadonlyArray<Route<unknown>>, path: string): ReadonlyArray<HttpMethod> => {
  const methods = new Set<HttpMethod>([...all, ...routes.flatMap(({ method }) => method ?? [])])
  return Array.from(methods).filter((method) => matchRoute(routes, method, path) !== undefined)
}

/** How many letters have to be changed, put in or left out. */
const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** How far a request is from a route, whose parameters are what was sent in their place. */
const routeDistance = (route: Route<unknown>, method: string, path: string): number => {
  const sent = segmentsOf(path)
  const filled = route.segments.flatMap((segment, i) =>
    segment === wildcard ? sent.slice(i) : [segment.startsWith(":") ? (sent[i] ?? segment) : segment]
  )
  return editDistance(`${route.method ?? method} /${filled.join("/")}`, `${method} ${path}`)
}

/** Every route, the nearest first. */
export const describeRoutes = (routes: ReadonlyArray<Route<unknown>>, method: string, path: string): string =>
  routes
    .map((route) => ({ name: route.name, miss: routeDistance(route, method, path) }))
    .sort((a, b) => a.miss - b.miss)
    .map(({ name }, i) => (i === 0 ? `${name} (the nearest)` : name))
    .join("\n")
