/** What the tests call of `@sinonjs/fake-timers`, which has no types of its own. */
declare module "@sinonjs/fake-timers" {
  export const install: (options: { readonly toFake?: ReadonlyArray<string> }) => { readonly uninstall: () => void }
}
