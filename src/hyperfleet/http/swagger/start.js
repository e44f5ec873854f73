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
});
