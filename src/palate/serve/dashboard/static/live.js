// GET /v1/status: live counts, latency and the active model, shared by the header and the models view.

import { api } from "./api.js";
import { t } from "./i18n.js";

const listeners = new Set();

export const live = {
  status: null,
  failed: false,
  onChange: (listener) => listeners.add(listener),

  /** Asks once. A failure is kept in `failed` (the header shows it) and the old figures stay. */
  async refresh() {
    try {
      live.status = await api.status();
      live.failed = false;
    } catch {
      live.failed = true;
    }
    for (const listener of listeners) listener();
  },

  /** Latency percentiles of the ranking route that is used most, or null. */
  latency() {
    const routes = Object.entries(live.status?.latency ?? {}).filter(([route, entry]) => entry.count > 0 && route !== "events");
    routes.sort(([, a], [, b]) => b.count - a.count);
    return routes[0]?.[1] ?? null;
  },

  model: () => live.status?.model ?? t("models.prior"),
};
