/** Why a login failed, as far as people are told. */
export type LoginFault = "expired" | "refused" | "forged" | "nameless" | "provider";

const FAULTS: Readonly<Record<LoginFault, { readonly status: number; readonly text: string }>> = {
  expired: {
    status: 400,
    text: "This sign-in is too old, or was begun in another browser.",
  },
  refused: { status: 403, text: "The identity provider did not let you in." },
  forged: { status: 400, text: "The identity provider's answer does not fit this sign-in." },
  nameless: { status: 403, text: "The identity provider does not say a name that can be used here." },
  provider: { status: 502, text: "The identity provider does not answer as it should. Try again later." },
};

/** Says that a login failed, and nothing that came with the request. */
export function loginFailedPage(fault: LoginFault): Response {
  const { status, text } = FAULTS[fault];
  return page({ status, head: "", body: `<p>${text}</p><p><a href="/auth/login">Sign in again</a></p>` });
}

/**
 * Leads on to a path of this registry. Not by a redirect: the browser would count it as the provider's, and leave the
 * session's strict cookie behind.
 */
export function onwardPage(path: string): Response {
  const address = escapeHtml(path);
  return page({
    status: 200,
    head: `<meta http-equiv="refresh" content="0;url=${address}">`,
    body: `<p>You are signed in. <a href="${address}">Go on</a></p>`,
  });
}

interface Page {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

function page({ status, head, body }: Page): Response {
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Stowage</title>${head}</head><body>${body}</body></html>`;
  const headers = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy":
      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
    // The address of the callback holds the code.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
  };
  return new Response(html, { status, headers });
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
