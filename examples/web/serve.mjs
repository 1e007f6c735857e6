// A server for static files: serve.mjs FOLDER [PORT]. Any other will do as well.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';

const TYPES = {
    '.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8', '.mjs': 'text/javascript; charset=utf-8',
    '.json': 'application/json', '.md': 'text/markdown; charset=utf-8', '.svg': 'image/svg+xml',
    '.jpg': 'image/jpeg', '.png': 'image/png', '.wasm': 'application/wasm',
    '.webmanifest': 'application/manifest+json',
};

async function answer(folder, headers, request, response) {
    const { pathname } = new URL(request.url, 'http://localhost');
    const path = resolve(folder, `.${decodeURIComponent(pathname)}`);
    if (!(path + sep).startsWith(folder + sep)) return response.writeHead(403).end();
    const file = pathname.endsWith('/') ? join(path, 'index.html') : path;
    const bytes = await readFile(file);
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 20)}"`;
    const head = { ...headers, etag, 'cache-control': 'no-cache',
        'content-type': TYPES[extname(file)] ?? 'application/octet-stream' };
    if (request.headers['if-none-match'] === etag) return response.writeHead(304, head).end();
    response.setHeader('content-length', bytes.length); // also for onAnswer to see
    response.writeHead(200, head);
    response.end(request.method === 'HEAD' ? undefined : bytes);
}

/** Serves a folder on this machine alone; port 0: any that is free. onAnswer(request, response) sees each. */
export async function serve(folder, { port = 0, headers = {}, onAnswer } = {}) {
    const server = createServer((request, response) => {
        response.on('finish', () => onAnswer?.(request, response));
        answer(resolve(folder), headers, request, response)
            .catch((error) => response.writeHead(error.code === 'ENOENT' ? 404 : 500).end());
    });
    await new Promise((ready, failed) => {
        server.on('error', failed);
        server.listen(port, '127.0.0.1', ready);
    });
    return { server, address: `http://127.0.0.1:${server.address().port}/` };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
    const [, , folder, port = '8000'] = process.argv;
    const { address } = await serve(folder, { port: Number(port) });
    console.log(`${address.replace('127.0.0.1', 'localhost')} (Ctrl+C ends it)`);
}
