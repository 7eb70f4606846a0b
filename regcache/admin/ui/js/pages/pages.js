/**
 * The pages by the first word of their address. A page is made when it is opened, and closed when
 * it is left.
 *
 * @typedef {object} Page
 * @property {() => string} title for the window
 * @property {() => import("../widgets/basics.js").Content} view
 * @property {Record<string, (data: any) => void>} [on] what it does at events of the stream, by topic
 * @property {() => void} [refresh] asks for everything anew: events were lost
 * @property {(place: import("../core/router.js").Place) => void} [moved] the place behind its word changed
 * @property {(place: import("../core/router.js").Place) => boolean} [covers] whether it shows what is behind its word; without it another page is opened for that
 * @property {() => void} [close]
 *
 * @typedef {(place: import("../core/router.js").Place) => Page} OpenPage
 */
import { accountsPage } from "./accounts/accounts.js";
import { imagesPage } from "./images/images.js";
import { clientsPage } from "./clients/clients.js";
import { linkPage, loginPage } from "./login.js";
import { missingPage } from "./missing.js";
import { overviewPage } from "./overview/overview.js";
import { requestsPage } from "./requests/requests.js";
import { storagePage } from "./storage/storage.js";
import { transfersPage } from "./transfers.js";
import { upstreamsPage } from "./upstreams/upstreams.js";

/** @type {Record<string, OpenPage>} */
const PAGES = {
  "": overviewPage,
  accounts: accountsPage,
  images: imagesPage,
  login: loginPage,
  clients: clientsPage,
  link: linkPage,
  requests: requestsPage,
  storage: storagePage,
  transfers: transfersPage,
  upstreams: upstreamsPage,
};

/** @param {import("../core/router.js").Place} place @returns {Page} */
export function openPage(place) {
  return (PAGES[place.page] ?? missingPage)(place);
}
