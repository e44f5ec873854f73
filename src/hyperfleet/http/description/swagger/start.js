// Renders this format as a text field; without a component for it, Swagger UI logs a console warning for each field.
function texts(system) {
  const Text = (given) => system.React.createElement(system.getComponent("JsonSchema_string"), given);
  return { components: { JsonSchema_string_uuid: Text } };
}

// Opens the document next to the page. The page calls no other host: no validator, no configuration by URL.
SwaggerUIBundle({
  url: "openapi",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  queryConfigEnabled: false,
  validatorUrl: null,
  filter: true,
  plugins: [texts],
});
