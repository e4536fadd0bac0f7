// `make lint` runs ESLint with its recommended rules over our scripts in the browser.
import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["skymailing/static/vendor/**", "node_modules/**", ".venv/**", ".cache/**"] },
  js.configs.recommended,
  {
    files: ["skymailing/static/js/**/*.js"],
    languageOptions: { ecmaVersion: 2022, sourceType: "module", globals: globals.browser },
    rules: { "no-var": "error", "prefer-const": "error", eqeqeq: "error" },
  },
  {
    files: ["skymailing/static/js/theme.js"],
    languageOptions: { sourceType: "script" },
  },
];
