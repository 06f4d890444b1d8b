import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { testTimeout } from "./support/eventually.js"

const root = fileURLToPath(new URL("..", import.meta.url))
const src = fileURLToPath(new URL("../src", import.meta.url))

export default defineConfig({
  root,
  resolve: {
    // The package imports itself by name in tests and examples; both names lead to src, never to dist.
    alias: [
      { find: /^effect-asynchttpserver\/testing$/, replacement: `${src}/Testing.ts` },
      { find: /^effect-asynchttpserver$/, replacement: `${src}/index.ts` },
      { find: /^effect-asynchttpserver\/([A-Z]\w*)$/, replacement: `${src}/$1.ts` }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    fileParallelism: true,
    // Vitest leaves one processor to itself, and would run one file at a time on a machine that has two.
    poolOptions: { forks: { maxForks: Math.max(2, availableParallelism()) } },
    testTimeout,
    hookTimeout: testTimeout,
    typecheck: { enabled: false }
  }
})
