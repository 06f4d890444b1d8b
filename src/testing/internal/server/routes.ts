/**
 * Route matching: the best route of a request with its parameters, or a list of routes by similarity.
 *
 * Not the router that `@effect/platform` uses: this package does not depend on it, and it does not report near misses.
 */
import { all, type HttpMethod } from "../../../HttpMethod.js"
import { isToken } from "../../../internal/http1/characters.js"

export interface Route<A> {
  /** As written in the table. */
  readonly name: string
  /** `undefined` matches any method. */
  readonly method: string | undefined
  readonly segments: ReadonlyArray<string>
  readonly target: A
}

interface RouteMatch<A> {
  readonly route: Route<A>
  readonly params: Readonly<Record<string, string>>
}

const wildcard = "*"

const segmentsOf = (path: string): ReadonlyArray<string> => path.slice(1).split("/")

export const parseRoute = <A>(name: string, target: A): Route<A> => {
  // A query is not part of a path: such a route would never match.
  const [, method, path] = /^(?:(\S+) )?(\/[^\s?#]*)$/.exec(name) ?? []
  const isMethod = method === undefined || isToken(method)
  const segments = segmentsOf(path ?? "")
  if (path === undefined || !isMethod || segments.slice(0, -1).includes(wildcard) || segments.includes(":")) {
    throw new TypeError(`Invalid route ${JSON.stringify(name)}: expected the form of "GET /users/:id" or "/files/*"`)
  }
  return { name, method, segments, target }
}

/** The decoded segment, or the segment as sent if it is malformed, so that tests of invalid clients can see it. */
const decode = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** The path parameters, or `undefined` if the path does not match. */
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

/** Rank of a route's method, 0 is best; `undefined` if it does not match. A GET route matches HEAD. */
const methodFit = (route: Route<unknown>, method: string): number | undefined => {
  if (route.method === method) return 0
  if (route.method === "GET" && method === "HEAD") return 1
  return route.method === undefined ? 2 : undefined
}

/** Sort key among the matching routes, segment by segment: literal, parameter, wildcard; then the rank of the method. */
const specificity = ({ segments }: Route<unknown>, fit: number): string =>
  segments.map((segment) => (segment === wildcard ? 2 : segment.startsWith(":") ? 1 : 0)).join("") + fit

export const matchRoute = <A>(
  routes: ReadonlyArray<Route<A>>,
  method: string,
  path: string
): RouteMatch<A> | undefined => {
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

/** The methods that have a route for this path, of the nine standard ones and those that the routes name. */
export const allowedMethods = (routes: ReadonlyArray<Route<unknown>>, path: string): ReadonlyArray<HttpMethod> => {
  const methods = new Set<HttpMethod>([...all, ...routes.flatMap(({ method }) => method ?? [])])
  return Array.from(methods).filter((method) => matchRoute(routes, method, path) !== undefined)
}

/** Levenshtein distance. */
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

/** Edit distance of a request to a route, with the sent segments in place of its parameters. */
const routeDistance = (route: Route<unknown>, method: string, path: string): number => {
  const sent = segmentsOf(path)
  const filled = route.segments.flatMap((segment, i) =>
    segment === wildcard ? sent.slice(i) : [segment.startsWith(":") ? (sent[i] ?? segment) : segment]
  )
  return editDistance(`${route.method ?? method} /${filled.join("/")}`, `${method} ${path}`)
}

/** All routes, one per line, the closest match first. */
export const describeRoutes = (routes: ReadonlyArray<Route<unknown>>, method: string, path: string): string =>
  routes
    .map((route) => ({ name: route.name, distance: routeDistance(route, method, path) }))
    .sort((a, b) => a.distance - b.distance)
    .map(({ name }, i) => (i === 0 ? `${name} (closest match)` : name))
    .join("\n")
