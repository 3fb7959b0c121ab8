// What this console can do: on one machine all; on Google Cloud it shows, asks and takes uploads.

import * as api from "./api.js";

const HERE = { work: true, mend: true, save_scenes: true, delete: true, is_paid: false, sends: "tus" };

/** Asked once, before the page is drawn. Without an answer the page says so wherever it asks next. */
export const can = await api.can().catch(() => HERE);

/** What is said in the place of what it can't do. */
export const BY_COMMAND = "This console changes no request. Delete: trackdrop delete REQUEST --google. Retry: trackdrop dead-letters replay, or upload the video again under another name.";
