// Titles and tags of items, asked for once and remembered.

import { api } from "./api.js";

const known = new Map();

/** Makes sure that every id of `ids` has a title. Errors: ApiError. */
export async function learn(ids) {
  const missing = [...new Set(ids)].filter((id) => !known.has(id));
  if (missing.length === 0) return;
  for (const item of (await api.items(missing)).items) known.set(item.id, item);
}

export const title = (id) => known.get(id)?.title || id;
export const tags = (id) => known.get(id)?.tags ?? [];

/** "genre:Drama" is a tag of the field genre; what people read is "Drama". */
export const tagText = (tag) => tag.slice(tag.indexOf(":") + 1) || tag;

/** The field that a tag filters on: where the items that carry it keep it, else the tag's own prefix. */
export function fieldOf(tag) {
  for (const item of known.values()) {
    const found = item.tags.find((entry) => entry.tag === tag);
    if (found) return found.field;
  }
  return tag.slice(0, Math.max(0, tag.indexOf(":")));
}
