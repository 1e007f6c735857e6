// Keeps the page's files, so that it works offline. make web fills in the files and what tells this
// version from others; the WebAssembly build that the browser runs is kept when the page names it.
const PREFIX = 'vit.h page ';
const VERSION = `${PREFIX}@VERSION@`;
const FILES = ['@FILES@'];

// What the browser has already is asked for by its ETag, not fetched again.
const fresh = (file) => new Request(file, { cache: 'no-cache' });

async function keep(files) {
    const cache = await caches.open(VERSION);
    const missing = [];
    for (const file of files) if (!await cache.match(file)) missing.push(fresh(file));
    await cache.addAll(missing);
}

async function removeOthers() {
    for (const name of await caches.keys()) {
        if (name.startsWith(PREFIX) && name !== VERSION) await caches.delete(name);
    }
    await clients.claim();
}

async function answer(request) {
    const cache = await caches.open(VERSION);
    const kept = await cache.match(request.mode === 'navigate' ? './' : request, { ignoreSearch: true });
    return kept ?? fetch(request);
}

addEventListener('install', (event) => event.waitUntil(keep(FILES)));
addEventListener('activate', (event) => event.waitUntil(removeOthers()));

addEventListener('message', (event) => event.waitUntil(
    keep(event.data.keep).then(() => event.source.postMessage({ offline: true }))));

addEventListener('fetch', (event) => {
    const { origin } = new URL(event.request.url);
    if (event.request.method === 'GET' && origin === location.origin)
        event.respondWith(answer(event.request));
});
