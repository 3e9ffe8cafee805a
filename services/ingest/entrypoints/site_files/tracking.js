// Sends a page view with the visitor's anonymous id, and tells the form who the visitor is.
(function () {
  "use strict";
  var writeKey = document.currentScript ? document.currentScript.dataset.writeKey : "";
  var NAME = "ajs_anonymous_id";

  function randomId() {
    if (window.crypto && crypto.randomUUID) { return crypto.randomUUID(); }
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.prototype.map.call(bytes, function (b) { return ("0" + b.toString(16)).slice(-2); }).join("");
  }

  function remembered() {
    var found = document.cookie.match(/(?:^|; )ajs_anonymous_id=([^;]+)/);
    if (found) { return decodeURIComponent(found[1]); }
    try { return localStorage.getItem(NAME); } catch (e) { return null; }
  }

  function visitor() {
    var id = remembered() || randomId();
    document.cookie = NAME + "=" + encodeURIComponent(id) + "; path=/; max-age=31536000; SameSite=Lax";
    try { localStorage.setItem(NAME, id); } catch (e) { /* the cookie is enough */ }
    return id;
  }

  function send(type, message) {
    if (!writeKey) { return; }
    message.anonymousId = id;
    message.messageId = "site-" + randomId();
    message.timestamp = message.sentAt = new Date().toISOString();
    message.writeKey = writeKey;
    message.context = { page: { url: location.href, path: location.pathname, referrer: document.referrer, title: document.title } };
    fetch("/v1/" + type, { method: "POST", body: JSON.stringify(message), keepalive: true }).catch(function () {});
  }

  var id = visitor();
  send("page", { name: document.title, properties: { url: location.href, path: location.pathname, title: document.title } });
  window.leadline = {
    track: function (event, properties) { send("track", { event: event, properties: properties || {} }); },
    identify: function (userId, traits) { send("identify", { userId: userId, traits: traits || {} }); }
  };

  document.querySelectorAll("form").forEach(function (form) {
    var values = { anonymous_id: id, submission_token: randomId(), page_url: location.href };
    Object.keys(values).forEach(function (name) {
      if (form.elements[name]) { form.elements[name].value = values[name]; }
    });
  });
  var shown = document.querySelector("[data-visitor]");
  if (shown) { shown.textContent = id; }
})();
