/**
 * What an application of `@effect/platform` sends, whichever server runs it: the routes of every peer, and after them
 * a router with one route, one with fifty, and an `HttpApi`.
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import type { HttpServerError } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { catalogue, product, streamed, text, textType } from "./content.js"
import { download, type Greeter, greeting, live } from "./effectful.js"

const response = (content: string) => HttpServerResponse.text(content)

const oneRoute = HttpRouter.empty.pipe(HttpRouter.get("/route", response(text)))

/** As many as a service has; the one that is asked for stands in the middle, and has a parameter. */
const fiftyRoutes = Array.from({ length: 50 }, (_, i) => `/things${i}/:id` as const).reduce(
  (router: HttpRouter.HttpRouter, path) => HttpRouter.get(router, path, Effect.as(HttpRouter.params, response(text))),
  HttpRouter.empty
)

const Product = Schema.Struct({ id: Schema.Number, name: Schema.String, inStock: Schema.Boolean })

const group = HttpApiGroup.make("products").add(
  HttpApiEndpoint.get("product")`/products/${HttpApiSchema.param("id", Schema.NumberFromString)}`.addSuccess(Product)
)

const api = HttpApi.make("catalogue").add(group)

const products = HttpApiBuilder.group(api, "products", (handlers) =>
  handlers.handle("product", ({ path }) => Effect.succeed({ ...product, id: path.id }))
)

const served = Layer.provide(HttpApiBuilder.api(api), products)

type App = HttpApp.Default<HttpServerError, Greeter | HttpRouter.HttpRouter.DefaultServices>

/** Three of them are applications of their own; a server runs one of them, selected by an argument. */
const appWith = (apiApp: App) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request): App => {
    switch (request.url) {
      case "/":
        return response(text)
      case "/route":
        return oneRoute
      case "/things25/42":
        return fiftyRoutes
      case "/products/1000":
        return apiApp
      case "/json":
        return HttpServerResponse.unsafeJson(catalogue)
      case "/sleep":
        return Effect.zipRight(Effect.sleep(1), response(text))
      case "/bytes":
        return Effect.map(request.arrayBuffer, (body) => response(String(body.byteLength)))
      case "/upload":
        return Effect.map(
          Stream.runFold(request.stream, 0, (length, part) => length + part.length),
          (length) => response(String(length))
        )
      case "/download":
        return HttpServerResponse.stream(download, { contentType: textType, contentLength: streamed })
      case "/effect":
        return Effect.map(greeting, response)
      default:
        return HttpServerResponse.empty({ status: 404 })
    }
  })

/** Serves the application by a server, and gives its port. */
export const serveBy = <E>(
  server: Layer.Layer<HttpServer.HttpServer | HttpRouter.HttpRouter.DefaultServices, E>
): Promise<number> =>
  new Promise((resolve, reject) => {
    const listening = HttpServer.addressWith((address) =>
      Effect.sync(() => resolve(address._tag === "TcpAddress" ? address.port : Number.NaN))
    )
    const serving = Layer.unwrapEffect(
      Effect.map(HttpApiBuilder.httpApp, (apiApp) => HttpServer.serve(appWith(apiApp)))
    )
    const launched = Layer.launch(Layer.merge(serving, Layer.effectDiscard(listening)))
    Effect.runPromise(
      Effect.provide(
        launched,
        Layer.mergeAll(served, HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer, live).pipe(
          Layer.provideMerge(server)
        )
      )
    ).catch(reject)
  })
