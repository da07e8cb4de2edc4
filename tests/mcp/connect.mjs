// A connection to `cordon mcp` by the protocol's own client: CORDON is the first argument of the program.

import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

export async function connect(args = [], env = {}) {
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(new StdioClientTransport({ command: process.argv[2], args: ['mcp', ...args], env: { ...process.env, ...env }, stderr: 'inherit' }));
  // The client checks structured content against the schemas that it has listed.
  const { tools } = await client.listTools();
  const call = async (name, args = {}, options) => {
    const result = await client.callTool({ name, arguments: args }, undefined, options);
    if (result.isError) throw new Error(result.content[0].text);
    assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
    return result.structuredContent;
  };
  return { client, tools, call };
}
