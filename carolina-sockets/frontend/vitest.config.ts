import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { globalSetup: "test/service.ts", testTimeout: 20_000, include: ["test/*.test.ts"] },
});
