/** What is below #/images: all repositories, one of them, or one image. */
import { splitReference } from "../../core/image_names.js";
import { imagePage } from "./image.js";
import { repositoriesPage } from "./repositories.js";
import { repositoryPage } from "./repository.js";

/** @param {import("../../core/router.js").Place} place @returns {import("../pages.js").Page} */
export function imagesPage(place) {
  if (!place.rest) return repositoriesPage(place);
  const { name, reference } = splitReference(place.rest);
  return reference ? imagePage(name, reference) : repositoryPage(name);
}
