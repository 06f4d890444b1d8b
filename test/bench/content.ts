/** What every peer sends, so that the same bytes are compared. */

export const text = "ok"

export const textType = "text/plain; charset=utf-8"

export const jsonType = "application/json"

/** A page of a catalogue, 1.4 KiB as JSON; whole numbers, which every language writes alike. */
export const catalogue = {
  page: 3,
  pages: 42,
  total: 417,
  query: { text: "kettle", sort: "price", descending: false, tags: ["kitchen", "steel"] },
  items: ["Ada", "Grace", "Edsger", "Barbara", "Tony", "Frances", "Donald", "Radia"].map((name, i) => ({
    id: 1000 + i,
    name: `${name} kettle`,
    description: `Holds ${i + 1} litres, and whistles “done” when it boils.`,
    cents: 1999 + 500 * i,
    inStock: i % 3 !== 0,
    tags: ["kitchen", "steel", "gift"]
  }))
}

/** What an endpoint gives, by its id. */
export const product = { id: 1000, name: "Ada kettle", inStock: true }

/** A stream's content: that many pieces of 64 KiB, 100 MiB in all. */
export const chunks = 1600

export const chunk = Buffer.alloc(64 * 1024, "x")

export const streamed = chunks * chunk.length
