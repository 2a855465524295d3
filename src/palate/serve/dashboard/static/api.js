// The service's API. Every failure becomes an ApiError whose message is a sentence to show.

import { t } from "./i18n.js";

export class ApiError extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch {
    throw new ApiError(t("error.network"), 0, "network");
  }
  let data = null;
  const text = await response.text();
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    throw new ApiError(t("error.not_json", { path, status: response.status }), response.status, "not_json");
  }
  if (response.ok) return data;
  if (response.status === 401 && path !== "/login") {
    location.assign("/login");
    throw new ApiError(t("error.signed_out"), 401, "unauthorized");
  }
  const error = data?.error ?? {};
  const message = error.message ?? t("error.status", { path, status: response.status });
  throw new ApiError(error.where && !message.includes(error.where) ? `${message} (${error.where})` : message, response.status, error.code);
}

const id = encodeURIComponent;

export const api = {
  users: (prefix, limit = 50) => call("GET", `/v1/users?prefix=${id(prefix)}&limit=${limit}`),
  correct: (user, change) => call("PATCH", `/v1/users/${id(user)}`, change),
  forget: (user) => call("DELETE", `/v1/users/${id(user)}`),
  user: (user) => call("GET", `/v1/users/${id(user)}`),
  recommend: (request) => call("POST", "/v1/recommend", request),
  chat: (request) => call("POST", "/v1/chat", request),
  event: (event) => call("POST", "/v1/events", event),
  items: (ids) => call("POST", "/dashboard/items", { ids }),
  status: () => call("GET", "/v1/status"),
  models: () => call("GET", "/v1/models"),
  importance: (version) => call("GET", `/v1/models/${id(version)}/importance`),
  worth: () => call("GET", "/v1/language/report"),
  explain: (ranking, item) => call("GET", `/v1/explain/${id(ranking)}/${id(item)}?counterfactuals=true`),
  words: (ranking, item, lang) => call("GET", `/v1/explain/${id(ranking)}/${id(item)}?words=${id(lang)}`),
  activate: (version) => call("POST", `/v1/models/${id(version)}/activate`),
  rollback: () => call("POST", "/v1/models/rollback"),
  experiments: () => call("GET", "/v1/experiments"),
  experiment: (name) => call("GET", `/v1/experiments/${id(name)}`),
  stopExperiment: (name) => call("POST", `/v1/experiments/${id(name)}/stop`),
  evaluation: () => call("GET", "/dashboard/evaluation"),
  replay: () => call("GET", "/dashboard/replay"),
  train: () => call("POST", "/v1/train"),
  login: (key) => call("POST", "/login", { key }),
  logout: () => call("POST", "/logout"),
};
