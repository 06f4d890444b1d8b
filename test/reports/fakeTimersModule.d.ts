/** The functions of `@sinonjs/fake-timers` that the tests call; the package has no types. */
declare module "@sinonjs/fake-timers" {
  export const install: (options: { readonly toFake?: ReadonlyArray<string> }) => { readonly uninstall: () => void }
}
