export { repeat } from "lit-html/directives/repeat.js";
