// The sign-in page: trades an API key for the session cookie.

import { api } from "./api.js";
import { $ } from "./dom.js";
import { startLanguage, t } from "./i18n.js";

startLanguage();
$("key").focus();
$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = $("login-error");
  problem.textContent = t("login.working");
  try {
    await api.login($("key").value.trim());
    location.assign("/");
  } catch (error) {
    problem.textContent = error.message;
    $("key").select();
  }
});
