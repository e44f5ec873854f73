// Fields of these formats are text fields; without a component of its own Swagger UI warns of each on the console.
function texts(system) {
  const Text = (given) => system.React.createElement(system.getComponent("JsonSchema_string"), given);
  return { components: { JsonSchema_string_uuid: Text } };
}

// Opens the document that lies beside the page. Nothing is asked of another host: no validator, no configuration by URL.
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
