import type { Client } from './client.js'

/**
 * Settings that make axios (1.12 or later) send its requests through the client, which adds the credential and renews
 * it:
 *
 *     const api = axios.create({ baseURL: 'https://api.example.com', ...through(client) })
 */
export const through = (client: Client): { adapter: 'fetch'; env: { fetch: typeof fetch } } => ({
  adapter: 'fetch',
  env: { fetch: client.fetch },
})
