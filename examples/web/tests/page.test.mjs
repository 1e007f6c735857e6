// The page in Debian's Chromium: make check-web. BUILD has the page, the native programs, and
// playwright-core and axe-core in web-check. SCREENSHOTS=folder also writes those of README.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { serve } from '../serve.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const build = resolve(process.env.BUILD ?? join(root, 'build'));
const require = createRequire(join(build, 'web-check/'));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const site = join(build, 'web'), model = join(site, 'model.vit');
const folder = mkdtempSync(join(tmpdir(), 'vit-page-'));
const images = readdirSync(join(root, 'examples/images')).filter((name) => name.endsWith('.jpg')).sort()
    .map((name) => join(root, 'examples/images', name));

const TOLERANCE = { f32: 1e-5, f16: 1e-5, bf16: 0.02, int8: 0.1, int8x: 0.1, int4: 2e-5 }; // as in module.test.mjs
const MAX_BYTES = 3.5e6, MAX_BYTES_WITHOUT_MODEL = 0.4e6;
const ARGUMENTS = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
    ...(process.getuid() === 0 ? ['--no-sandbox'] : [])];

let browser, context, page, site_, requests = [], complaints = [];

/** A new page with an empty cache. */
async function open(options = {}) {
    await context?.close();
    context = await browser.newContext({ viewport: { width: 1100, height: 900 },
        permissions: ['camera', 'clipboard-read', 'clipboard-write'], acceptDownloads: true, ...options });
    page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('filechooser', () => {}); /* from now on none is shown */
    page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
    page.on('pageerror', (error) => complaints.push(String(error)));
    requests = [];
    context.on('request', (request) => requests.push(request));
    await page.goto(site_.address);
    await page.waitForFunction(() => document.getElementById('status').textContent === 'The model is ready');
}

const text = (selector) => page.textContent(selector);
const firstLabel = () => text('#labels .label'); /* behind "None of these", where that is the answer */

/** Waits for what comes last, after the answer: what was looked at. */
const answered = () => page.waitForFunction(() => document.getElementById('looked').textContent !== '' &&
    document.getElementById('status').textContent.startsWith('The answer'));

/** Runs a native program. */
const native = (program, ...values) => execFileSync(join(build, program), values,
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

const nativeAnswer = (file, of = model) =>
    JSON.parse(native('vit-classify', '-m', of, '--json', '--logits', '-k', '5', file));

/** Drops a file on an element, as a browser would do it. */
async function drop(path, selector = '#drop', name = path.split('/').pop()) {
    const bytes = readFileSync(path).toString('base64');
    const transfer = await page.evaluateHandle(async ([encoded, fileName]) => {
        const all = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([all], fileName, { type: /jpg$/.test(fileName) ? 'image/jpeg' : '' }));
        return data;
    }, [bytes, name]);
    for (const type of ['dragenter', 'dragover', 'drop'])
        await page.dispatchEvent(selector, type, { dataTransfer: transfer });
}

/** What axe-core finds that is serious or worse. */
async function checkAccess(what) {
    const { violations } = await page.evaluate(`${axe}; axe.run()`);
    const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
    assert.deepEqual(serious.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], what);
}

async function screenshot(name, of = page) {
    if (process.env.SCREENSHOTS)
        await of.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.jpg`), type: 'jpeg', quality: 75 });
}

before(async () => {
    site_ = await serve(site);
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGUMENTS });
    await open();
});

after(async () => {
    await browser?.close();
    site_?.server.close();
    rmSync(folder, { recursive: true });
});

test('the whole page is small', async (t) => {
    const sent = [];
    const other = await serve(site, { onAnswer: (request, response) => {
        if (response.statusCode === 200) sent.push([request.url, Number(response.getHeader('content-length'))]);
    } });
    const fresh = await browser.newContext();
    const visitor = await fresh.newPage();
    await visitor.goto(other.address);
    await visitor.waitForFunction(() => document.getElementById('offline').textContent !== '');
    await fresh.close();
    other.server.close();
    const sum = (all) => all.reduce((total, [, bytes]) => total + bytes, 0);
    const all = sum(sent), without = sum(sent.filter(([url]) => url !== '/model.vit'));
    t.diagnostic(`${all} bytes, without the model ${without}, uncompressed, all that is kept offline included`);
    assert.ok(all < MAX_BYTES && without < MAX_BYTES_WITHOUT_MODEL);
    assert.ok(without > 100_000); /* the WebAssembly is among it */
});

test('a photo that is dropped', async (t) => {
    const begin = performance.now();
    await drop(images[0]);
    await page.waitForFunction(() => document.getElementById('status').textContent.startsWith('The answer'));
    const milliseconds = performance.now() - begin;
    t.diagnostic(`${Math.round(milliseconds)} ms from the drop to the first answer`);
    await answered();
    const [best] = nativeAnswer(images[0]).top;
    assert.equal(await firstLabel(), best.label);
    assert.match(await text('#time'), /ms to resize the picture/);
    await checkAccess('with an answer');
});

/** The largest difference between Chromium's logits of an image and the native build's, which gets the pixels
    that the browser has decoded: JPEG decoders differ. */
async function logitError(image, model, relaxed) {
    const seen = await page.evaluate(async ([bytes, address, options]) => {
        const { load, decode } = await import('./module/vit.mjs');
        const blob = new Blob([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))]);
        const pixels = await decode(blob), opened = await load(address, options);
        const { logits } = await opened.classify(pixels);
        opened.close();
        let letters = '';
        for (let i = 0; i < pixels.data.length; i += 4)
            letters += String.fromCharCode(pixels.data[i], pixels.data[i + 1], pixels.data[i + 2]);
        return { logits: [...logits], dtype: opened.config.dtype, rgb: btoa(letters), width: pixels.width, height: pixels.height };
    }, [readFileSync(image).toString('base64'), model.address, { relaxed }]);
    const ppm = join(folder, 'seen.ppm');
    writeFileSync(ppm, Buffer.concat([Buffer.from(`P6\n${seen.width} ${seen.height}\n255\n`),
        Buffer.from(seen.rgb, 'base64')]));
    const expected = nativeAnswer(ppm, model.path).logits, largest = Math.max(...expected.map(Math.abs));
    const worst = Math.max(...expected.map((value, i) => Math.abs(value - seen.logits[i]) / largest));
    assert.ok(worst <= TOLERANCE[seen.dtype], `${seen.dtype}: ${worst}`);
    return worst;
}

for (const relaxed of [false, true])
    test(`logits are those of the native build${relaxed ? ', relaxed SIMD' : ''}`, async (t) => {
        let worst = 0;
        for (const image of images.slice(0, 6))
            worst = Math.max(worst, await logitError(image, { address: 'model.vit', path: model }, relaxed));
        t.diagnostic(`differ by ${worst.toExponential(1)} of the largest at most`);
    });

const data = process.env.VIT_TEST_DATA;
test('DeiT-Tiny on photos', { skip: !data && 'VIT_TEST_DATA is not set' }, async (t) => {
    const path = join(folder, 'deit.vit');
    native('vit-convert', '--labels', 'imagenet-1k', join(data, 'deit_tiny'), path);
    const photos = readdirSync(join(data, 'photos')).filter((name) => /\.JPEG$/.test(name)).sort().slice(0, 4)
        .map((name) => join(data, 'photos', name));
    await page.setInputFiles('#model-file', path);
    await page.waitForFunction(() => document.getElementById('about').textContent.startsWith('deit.vit knows 1000'));
    for (const photo of photos) {
        const name = photo.split('/').pop(), begin = performance.now();
        await drop(photo);
        await page.waitForFunction((file) => document.getElementById('status').textContent.startsWith('The answer') &&
            document.getElementById('picture').ariaLabel.endsWith(file), name);
        t.diagnostic(`${name}: ${Math.round(performance.now() - begin)} ms from the drop to the answer`);
        await answered();
        assert.equal(await firstLabel(), nativeAnswer(photo, path).top[0].label);
    }
});

test('a photo that is pasted', async () => {
    await page.evaluate(async () => {
        const canvas = document.createElement('canvas');
        canvas.getContext('2d').fillRect(0, 0, 40, 40);
        const blob = await new Promise((done) => { canvas.toBlob(done, 'image/png'); });
        await navigator.clipboard.write([new ClipboardItem({ 'image/png': blob })]);
    });
    await page.keyboard.press('Control+V');
    await page.waitForFunction(() => /image\.png|picture/.test(document.getElementById('picture').ariaLabel));
    await answered();
});

test('paste without a picture', async () => {
    await page.evaluate(() => navigator.clipboard.writeText('words'));
    await page.keyboard.press('Control+V');
    await page.waitForFunction(() => /no picture to paste/.test(document.getElementById('error').textContent));
});

test('by keyboard alone', async () => {
    await page.reload();
    await page.waitForFunction(() => document.getElementById('status').textContent === 'The model is ready');
    const focused = () => page.evaluate(() => document.activeElement.id);
    for (let i = 0; i < 5 && await focused() !== 'pick'; i++) await page.keyboard.press('Tab');
    assert.equal(await focused(), 'pick');
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.keyboard.press('Enter')]);
    await chooser.setFiles(images[3]);
    await answered();
    assert.equal(await firstLabel(), nativeAnswer(images[3]).top[0].label);
    for (let i = 0; i < 12 && await focused() !== 'show-heat'; i++) await page.keyboard.press('Tab');
    await page.keyboard.press('Space');
    assert.equal(await page.getAttribute('#heat', 'class'), 'off');
    await page.keyboard.press('Space');
    const all = new Set(); /* everything that can be used is reached */
    await page.evaluate(() => document.activeElement.blur());
    for (let i = 0; i < 60; i++) {
        await page.keyboard.press('Tab');
        all.add(await page.evaluate(() => document.activeElement.id || document.activeElement.className));
    }
    for (const id of ['pick', 'camera', 'show-heat', 'pick-model', 'name', 'add-photos', 'learn'])
        assert.ok(all.has(id), id);
});

test('the camera', async () => {
    await page.click('#camera');
    await page.waitForFunction(() => document.getElementById('video').videoWidth > 0);
    await checkAccess('with the camera');
    await page.click('#shoot');
    await page.waitForFunction(() => document.getElementById('picture').ariaLabel === 'Your photo, from the camera');
    await answered();
    await page.waitForFunction(() => document.getElementById('video').srcObject === null);
    await page.click('#camera');
    await page.waitForFunction(() => document.getElementById('video').videoWidth > 0);
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => document.getElementById('video').srcObject === null);
});

test('no camera', async () => {
    await page.evaluate(() => {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'));
    });
    await page.click('#camera');
    await page.waitForFunction(() => document.getElementById('error').textContent === 'there is no camera');
});

test('a model of one\'s own', async () => {
    const own = join(folder, 'own.vit'), labels = join(folder, 'labels.txt'); /* the same by other names */
    const count = nativeAnswer(images[0]).logits.length;
    writeFileSync(labels, Array.from({ length: count }, (_, i) => `my class ${i}\n`).join(''));
    native('vit-convert', '--labels', labels, model, own);
    await drop(images[0]);
    await answered();
    await page.setInputFiles('#model-file', own);
    await page.waitForFunction(() => document.getElementById('about').textContent.startsWith('own.vit'));
    await page.waitForFunction(() => /my class/.test(document.getElementById('labels').textContent));
    assert.equal(await firstLabel(), `my class ${nativeAnswer(images[0]).top[0].index}`); /* looked at again */
    await page.click('#first-model');
    await page.waitForFunction(() => document.getElementById('about').textContent.startsWith('The model of this page'));
    await page.waitForFunction(() => !/my class/.test(document.getElementById('labels').textContent));
});

test('bad files', async () => {
    const before = await text('#about');
    const damaged = readFileSync(model), cut = damaged.subarray(0, 5000);
    damaged[damaged.length - 1000] ^= 4;
    for (const [name, bytes, words] of [
        ['noise.vit', Buffer.from('noise'), 'noise.vit: this is not a .vit file'],
        ['cut.vit', cut, 'cut.vit: the file is shorter or longer than it says'],
        ['damaged.vit', damaged, 'damaged.vit: the weights in the file are damaged'],
        ['letter.jpg', Buffer.from('Dear Sir'), 'letter.jpg: this is no picture that the browser can read'],
        ['letter.txt', Buffer.from('Dear Sir'), 'letter.txt: this is no picture that the browser can read'],
        ['empty.png', Buffer.alloc(0), 'empty.png: this is no picture that the browser can read'],
    ]) {
        writeFileSync(join(folder, name), bytes);
        await drop(join(folder, name));
        await page.waitForFunction((expected) => document.getElementById('error').textContent === expected, words);
        assert.equal(await text('#about'), before); /* what was there is there still */
    }
    await checkAccess('with an error');
    await drop(images[1]);
    await answered();
    assert.equal(await text('#error'), '');
});

/** Small pictures of two kinds as files. */
async function lessonFiles(kind, count) {
    const files = [];
    for (let i = 0; i < count; i++) {
        const encoded = await page.evaluate(([k, n]) => {
            const canvas = Object.assign(document.createElement('canvas'), { width: 60 + n, height: 56 });
            const draw = canvas.getContext('2d');
            draw.fillStyle = `hsl(${n * 40} 30% 20%)`;
            draw.fillRect(0, 0, 80, 60);
            draw.fillStyle = `hsl(${n * 70} 60% 80%)`;
            if (k === 0) draw.arc(20 + 3 * n, 28, 12 + n, 0, 7);
            else for (let x = n; x < 80; x += 10) draw.rect(x, 0, 4, 60);
            draw.fill();
            return canvas.toDataURL('image/png').split(',')[1];
        }, [kind, i]);
        const path = join(folder, `lesson-${kind}-${i}.png`);
        writeFileSync(path, Buffer.from(encoded, 'base64'));
        files.push(path);
    }
    return files;
}

test('teaching it', async (t) => {
    const lessons = [await lessonFiles(0, 7), await lessonFiles(1, 7)], names = ['a disc', 'stripes'];
    await page.click('#learn');
    await page.waitForFunction(() => /no name/.test(document.getElementById('lesson-error').textContent));
    for (const [i, name] of names.entries()) {
        const one = page.locator('.class').nth(i);
        await one.locator('.name').fill(name);
        await one.locator('.files').setInputFiles(lessons[i].slice(0, 5));
        await page.waitForFunction(([index, count]) => document.querySelectorAll('.class')[index]
            .querySelectorAll('.photos li').length === count, [i, 5]);
    }
    await page.click('#add-class'); /* a third, which goes again */
    assert.equal(await page.locator('.class').count(), 3);
    await page.locator('.class').nth(2).locator('.remove-class').click();
    await drop(lessons[0][5], '.class'); /* one by drop, and one away */
    await page.waitForFunction(() => document.querySelectorAll('.photos')[0].children.length === 6);
    await page.locator('.photos button').first().click();
    assert.equal(await page.locator('.photos').first().locator('li').count(), 5);
    await page.click('#learn');
    await page.waitForFunction(() => /^Learned/.test(document.getElementById('lesson').textContent));
    t.diagnostic(await text('#lesson'));
    assert.match(await text('#about'), /a disc, stripes/);
    await checkAccess('taught');
    await screenshot('teach', page.locator('#teach'));

    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')]);
    assert.equal(download.suggestedFilename(), 'mine.vit');
    const mine = join(folder, 'mine.vit');
    await download.saveAs(mine);
    for (const [i, files] of lessons.entries()) { /* new to both */
        assert.equal(nativeAnswer(files[6], mine).top[0].label, names[i]);
        await drop(files[6]);
        await page.waitForFunction((name) => document.getElementById('picture').ariaLabel.endsWith(name),
            files[6].split('/').pop());
        await answered();
        assert.equal(await firstLabel(), names[i]);
    }
    const size = statSync(mine).size;
    await page.reload(); /* and it can be loaded again */
    await page.waitForFunction(() => document.getElementById('status').textContent === 'The model is ready');
    await drop(mine);
    await page.waitForFunction(() => /^mine\.vit knows 2 classes/.test(document.getElementById('about').textContent));
    assert.ok(size > 100_000);
});

test('nothing leaves the machine', async () => {
    await open();
    await drop(images[2]);
    await answered();
    for (const request of requests) {
        assert.equal(request.method(), 'GET');
        assert.ok(request.url().startsWith(site_.address) || request.url().startsWith('blob:'), request.url());
        assert.equal(request.postData(), null);
    }
    assert.match(await text('.promise'), /Nothing leaves your machine/);
    const refused = await page.evaluate(() => fetch('https://example.com/').then(() => 'sent', () => 'refused'));
    assert.equal(refused, 'refused');
    complaints = complaints.filter((complaint) => !/example\.com/.test(complaint)); /* of the refusal */
});

test('threads, from the second visit on', async (t) => {
    await page.waitForFunction(() => document.getElementById('offline').textContent !== '');
    const before = (await page.evaluate(() => [...document.querySelectorAll('#labels .score')]
        .map((score) => score.textContent)));
    assert.equal(await page.evaluate(() => crossOriginIsolated), false);
    await page.reload();
    await page.waitForFunction(() => document.getElementById('status').textContent === 'The model is ready');
    assert.equal(await page.evaluate(() => crossOriginIsolated), true);
    const threads = await page.evaluate(() => navigator.hardwareConcurrency);
    if (threads > 1) assert.match(await text('#engine'), new RegExp(`on ${Math.min(threads, 16)} threads`));
    t.diagnostic(await text('#engine'));
    await drop(images[2]);
    await answered();
    assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('#labels .score')]
        .map((score) => score.textContent)), before);
});

test('screen readers, light and dark, wide and narrow', async () => {
    for (const viewport of [{ width: 1100, height: 900 }, { width: 360, height: 740 }])
        for (const colorScheme of ['light', 'dark']) {
            await page.setViewportSize(viewport);
            await page.emulateMedia({ colorScheme });
            await checkAccess(`${viewport.width}, ${colorScheme}`);
            const wider = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
            assert.ok(!wider, 'no scrolling aside');
        }
    await page.click('summary');
    await checkAccess('with the card');
    assert.ok((await text('#card')).length > 50);
});

test('screenshots', { skip: !process.env.SCREENSHOTS && 'SCREENSHOTS is not set' }, async () => {
    /* no photo is ours to show: the model of clothes with one of its pictures */
    await page.setInputFiles('#model-file', join(root, 'examples/models/fashion-mnist.vit'));
    await page.waitForFunction(() => document.getElementById('about').textContent.startsWith('fashion-mnist.vit'));
    await drop(images.find((image) => image.includes('trouser')));
    await answered();
    await page.waitForFunction(() => /Trouser/.test(document.getElementById('labels').textContent));
    await page.setViewportSize({ width: 1100, height: 900 });
    await page.emulateMedia({ colorScheme: 'light' });
    await page.evaluate(() => scrollTo(0, 0));
    await screenshot('wide');
    await page.setViewportSize({ width: 390, height: 844 });
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.evaluate(() => document.getElementById('status').scrollIntoView());
    await screenshot('narrow');
});

test('offline', async () => {
    await page.waitForFunction(() => document.getElementById('offline').textContent !== '');
    await new Promise((closed) => { site_.server.close(closed); site_.server.closeAllConnections(); });
    await context.setOffline(true);
    await page.reload();
    await page.waitForFunction(() => document.getElementById('status').textContent === 'The model is ready');
    await drop(images[4]);
    await answered();
    assert.equal(await firstLabel(), nativeAnswer(images[4]).top[0].label);
});

test('the browser has nothing to complain about', () => {
    assert.deepEqual(complaints, []);
});
