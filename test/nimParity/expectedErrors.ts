/** Errors as a test expects them, by the fields that Nim's users know. */
import { expect } from "@effect/vitest"

export const osError = (code: string, syscall: string) => expect.objectContaining({ _tag: "OSError", code, syscall })

export const valueError = (reason: string) => expect.objectContaining({ _tag: "ValueError", reason })
