import { readdirSync } from "node:fs"

/** What each module of a folder exports under a name, by the module's own name; the folder is beside this file, or another. */
export const modulesOf = async <T>(
  folder: string,
  exported: string,
  beside: string = import.meta.url
): Promise<ReadonlyMap<string, T>> => {
  const url = new URL(`./${folder}/`, beside)
  const found = new Map<string, T>()
  for (const file of readdirSync(url).sort()) {
    const name = /^(\w+)\.ts$/.exec(file)?.[1]
    if (name === undefined) continue
    const module: { readonly [name: string]: T } = await import(new URL(file, url).href)
    const value = module[exported]
    if (value === undefined) throw new Error(`${folder}/${file} exports no ${exported}`)
    found.set(name, value)
  }
  return found
}
