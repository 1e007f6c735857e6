// The module in node, beside the native programs: make check-module.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openAsBlob, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const build = process.env.BUILD ?? join(root, 'build');
const moduleFolder = join(build, 'web/module');
const { load, features, seen, VitError } = await import(pathToFileURL(join(moduleFolder, 'vit.mjs')));
const shipped = join(root, 'examples/models/fashion-mnist.vit');
const folder = mkdtempSync(join(tmpdir(), 'vit-web-'));
const relaxed = features().relaxed;

after(() => rmSync(folder, { recursive: true }));

// Of the largest logit. With int8 a rounding that differs may move a value to the next of 128, and so on in the
// blocks after it: native instruction sets are from each other, and all of them from float32, by about as much
// (DeiT-Tiny on these pictures: 0.04).
/* bf16: some processors multiply it as it is */
const TOLERANCE = { f32: 1e-5, f16: 1e-5, bf16: 0.02, int8: 0.1, int8x: 0.1, int4: 2e-5 };

/** A picture that is not the same everywhere, in RGB, and the PPM file of it. */
function makePicture(width, height, seed) {
    const data = new Uint8Array(width * height * 3);
    for (let y = 0, i = 0; y < height; y++)
        for (let x = 0; x < width; x++)
            for (let c = 0; c < 3; c++, i++)
                data[i] = 127.5 + 80 * Math.sin((x * (seed + c) + y * 3) / 17) + 40 * Math.cos(x * y / 99 + seed);
    const path = join(folder, `${width}x${height}-${seed}.ppm`);
    writeFileSync(path, Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), data]));
    return { data, width, height, path };
}

const pictures = [makePicture(28, 28, 1), makePicture(301, 200, 2), makePicture(97, 640, 3),
    makePicture(1200, 800, 5)];

function native(model, ...options) {
    const text = execFileSync(join(build, 'vit-classify'), ['-m', model, '--json', ...options],
        { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] });
    return text.trim().split('\n').map((line) => JSON.parse(line));
}

/** The largest difference, relative to the largest number that is expected. */
function difference(numbers, expected) {
    assert.equal(numbers.length, expected.length);
    const largest = Math.max(...expected.map(Math.abs));
    return Math.max(...expected.map((value, i) => Math.abs(value - numbers[i]))) / largest;
}

function convert(from, dtype) {
    const path = join(folder, `${dtype}-${from.split('/').pop()}`);
    if (!existsSync(path))
        execFileSync(join(build, 'vit-convert'), ['--dtype', dtype, from, path], { stdio: 'ignore' });
    return path;
}

async function compareWithNative(path, dtype, options) {
    const model = await load(path, options);
    const expected = native(path, '--logits', '-k', '3', ...pictures.map((picture) => picture.path));
    let worst = 0;
    for (const [i, picture] of pictures.entries()) {
        const { logits, top } = await model.classify(picture, { top: 3 });
        worst = Math.max(worst, difference(logits, expected[i].logits));
        if (TOLERANCE[dtype] > 1e-4) continue;
        assert.deepEqual(top.map(({ index, label }) => ({ index, label })),
            expected[i].top.map(({ index, label }) => ({ index, label })));
    }
    assert.ok(worst <= TOLERANCE[dtype], `${dtype}: logits differ by ${worst}`);
    model.close();
    return worst;
}

const builds = relaxed ? [false, true] : [false];
if (!relaxed) test('relaxed SIMD', { skip: 'this node does not run it' }, () => {});

for (const dtype of ['f32', 'f16', 'bf16', 'int8', 'int8x', 'int4']) {
    for (const build of builds) {
        test(`logits as native ones, ${dtype}${build ? ', relaxed SIMD' : ''}`, async (t) => {
            const path = dtype === 'f32' ? shipped : convert(shipped, dtype);
            t.diagnostic(`differ by ${(await compareWithNative(path, dtype, { relaxed: build })).toExponential(1)}`);
        });
    }
}

const deit = process.env.VIT_TEST_DATA && join(process.env.VIT_TEST_DATA, 'deit_tiny');
test('DeiT-Tiny', { skip: !deit && 'VIT_TEST_DATA is not set' }, async (t) => {
    const path = join(folder, 'deit.vit');
    execFileSync(join(build, 'vit-convert'), [deit, path], { stdio: 'ignore' });
    for (const dtype of ['f32', 'int8'])
        for (const relaxed of builds) {
            const worst = await compareWithNative(dtype === 'f32' ? path : convert(path, dtype), dtype, { relaxed });
            t.diagnostic(`${dtype}${relaxed ? ', relaxed' : ''}: differ by ${worst.toExponential(1)}`);
        }
});

test('other sizes as native', async () => {
    const model = await load(shipped);
    for (const [size, option] of [[56, '56'], [[32, 44], '32x44'], ['native', 'native'], [undefined, '28']]) {
        const [expected] = native(shipped, '--logits', '--size', option, pictures[1].path);
        const { logits } = await model.classify(pictures[1], { size });
        assert.ok(difference(logits, expected.logits) < 1e-5, option);
    }
    await assert.rejects(model.classify(pictures[1], { size: 1 }), VitError);
    await assert.rejects(model.classify(pictures[1], { size: 'large' }), VitError);
});

test('grey, RGB and RGBA are the same picture', async () => {
    const model = await load(shipped), { data, width, height } = pictures[1];
    const grey = data.filter((_, i) => i % 3 === 0);
    const rgb = new Uint8Array(data.length), rgba = new Uint8ClampedArray(width * height * 4);
    grey.forEach((value, i) => {
        rgb.fill(value, 3 * i, 3 * i + 3);
        rgba.set([value, value, value, i % 256], 4 * i);
    });
    const [a, b, c] = await Promise.all([grey, rgb, rgba].map((pixels) =>
        model.classify({ data: pixels, width, height })));
    assert.deepEqual(a.logits, b.logits);
    assert.deepEqual(a.logits, c.logits);
    assert.deepEqual((await model.classify(pictures[1])).answer, (await model.classify(pictures[1])).answer);
});

test('pixels by getters, as ImageData has them', async () => {
    const model = await load(shipped), { data, width, height } = pictures[0];
    class Image { get data() { return data; } get width() { return width; } get height() { return height; } }
    assert.deepEqual((await model.classify(new Image())).logits, (await model.classify(pictures[0])).logits);
    assert.deepEqual(await model.features(new Image()), await model.features(pictures[0]));
});

test('what is no picture', async () => {
    const model = await load(shipped);
    for (const picture of [null, {}, { data: new Uint8Array(5), width: 2, height: 2 },
        { data: [1, 2, 3], width: 1, height: 1 }, new Blob(['x']), new Float32Array(3)])
        await assert.rejects(model.classify(picture), VitError);
    assert.equal((await model.classify(pictures[0])).scores.length, 10); /* it still works */
});

test('scores, answer and labels', async () => {
    const model = await load(shipped), result = await model.classify(pictures[0], { top: 3 });
    assert.equal(model.labels.length, model.config.numClasses);
    assert.equal(result.top.length, 3);
    assert.deepEqual(result.answer, result.top[0]);
    assert.ok(Math.abs(result.scores.reduce((sum, score) => sum + score) - 1) < 1e-6);
    assert.ok(result.milliseconds.forward > 0);
    assert.equal(model.config.dtype, 'f32');
    assert.deepEqual(model.config.imgSize, [28, 28]);
    assert.equal(model.config.parameters, 305034);
    assert.equal(model.fileSize, readFileSync(shipped).length);
});

test('embeddings', async () => {
    const model = await load(shipped), { embedDim, tokenCount } = model.config;
    const pooled = await model.embed(pictures[0]);
    const tokens = await model.embed(pictures[0], { features: 'tokens' });
    assert.equal(pooled.length, embedDim);
    assert.equal(tokens.length, tokenCount * embedDim);
    assert.ok(difference(pooled, [...tokens.subarray(0, embedDim)]) < 1e-5); /* the class token's output */
    const output = await model.embed(pictures[0], { features: 'output' });
    assert.deepEqual(output, (await model.classify(pictures[0])).logits);
    await assert.rejects(model.embed(pictures[0], { features: 'all' }), VitError);
});

test('attention', async () => {
    const model = await load(shipped), { depth, numHeads, tokenCount } = model.config;
    const { rows, columns, patches, prefix } = await model.attention(pictures[1]);
    assert.deepEqual([rows, columns, patches.length, prefix.length], [7, 7, 49, 1]);
    assert.ok(Math.abs([...patches, ...prefix].reduce((sum, x) => sum + x) - 1) < 1e-5);
    for (const [block, queries] of [[0, tokenCount], [depth - 1, 1]]) {
        const all = await model.attention(pictures[1], { block });
        assert.deepEqual([all.heads, all.queries, all.tokens], [numHeads, queries, tokenCount]);
        assert.equal(all.weights.length, numHeads * queries * tokenCount);
        for (let at = 0; at < all.weights.length; at += tokenCount) {
            const sum = all.weights.subarray(at, at + tokenCount).reduce((x, y) => x + y);
            assert.ok(Math.abs(sum - 1) < 1e-5);
        }
        const second = await model.attention(pictures[1], { block, head: 1 });
        assert.deepEqual(second.weights, all.weights.slice(queries * tokenCount, 2 * queries * tokenCount));
    }
    await assert.rejects(model.attention(pictures[1], { block: depth }), VitError);
    await assert.rejects(model.attention(pictures[1], { block: 0, head: -1 }), VitError);
});

// ---- sources ----

let server, address;
before(async () => {
    const bytes = readFileSync(shipped);
    server = createServer((request, response) => {
        if (request.url !== '/model.vit') return response.writeHead(404).end();
        response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    });
    await new Promise((ready) => { server.listen(0, '127.0.0.1', ready); });
    address = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());

test('a model from a URL, a path, a file, bytes, a response, with progress', async () => {
    const size = readFileSync(shipped).length, own = readFileSync(shipped);
    for (const source of [`${address}/model.vit`, new URL(`${address}/model.vit`), shipped,
        pathToFileURL(shipped), await openAsBlob(shipped), own,
        own.buffer.slice(own.byteOffset, own.byteOffset + size), await fetch(`${address}/model.vit`)]) {
        const told = [];
        const model = await load(source, { onProgress: (progress) => told.push(progress) });
        assert.equal(model.labels[9], 'Ankle boot');
        if (ArrayBuffer.isView(source) || source instanceof ArrayBuffer) continue;
        assert.deepEqual(told[0], { loaded: 0, total: size });
        assert.deepEqual(told.at(-1), { loaded: size, total: size });
    }
});

test('errors carry the words of the library', async () => {
    const good = readFileSync(shipped), damaged = Buffer.from(good), weights = Buffer.from(good);
    damaged[100] ^= 1;
    weights[good.length - 300] ^= 1;
    for (const [source, code, words] of [
        [Buffer.from('hello'), 'VIT_ERROR_MAGIC', /this is not a \.vit file/],
        [new Uint8Array(0), 'VIT_ERROR_MAGIC', /this is not a \.vit file/],
        [good.subarray(0, 100000), 'VIT_ERROR_SIZE', /shorter or longer/],
        [damaged, 'VIT_ERROR_HEAD', /head of the file is damaged/],
        [weights, 'VIT_ERROR_CHECKSUM', /weights in the file are damaged/],
        [join(root, 'Makefile'), 'VIT_ERROR_MAGIC', /^Makefile: this is not a \.vit file$/],
        [join(folder, 'none.vit'), 'VIT_ERROR_READ', /^none\.vit: /],
        [`${address}/other.vit`, undefined, /^other\.vit: the server answers 404$/],
        [42, undefined, /a model is a URL/],
    ]) {
        await assert.rejects(load(source), (error) => {
            assert.ok(error instanceof VitError, String(error));
            assert.equal(error.code, code);
            assert.match(error.message, words);
            return true;
        });
    }
});

test('a load is ended by its signal', async () => {
    await assert.rejects(load(`${address}/model.vit`, { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

test('a model that is closed says so', async () => {
    const model = await load(shipped);
    model.close();
    await assert.rejects(model.classify(pictures[0]), /the model is closed/);
});

test('two models at a time', async () => {
    const [a, b] = await Promise.all([load(shipped), load(convert(shipped, 'int8'))]);
    const first = await a.classify(pictures[0]);
    await b.classify(pictures[1]);
    assert.deepEqual((await a.classify(pictures[0])).logits, first.logits);
    assert.equal(b.config.dtype, 'int8');
});

test('threads give the same to the bit', async () => {
    const one = await load(shipped), expected = await one.classify(pictures[2]);
    const rollout = await one.attention(pictures[2]), features = await one.features(pictures[2]);
    for (const threads of [2, 3, 8]) {
        const model = await load(shipped, { threads });
        assert.equal(model.threads, threads);
        for (let i = 0; i < 20; i++)
            assert.deepEqual((await model.classify(pictures[2])).logits, expected.logits);
        assert.deepEqual((await model.attention(pictures[2])).patches, rollout.patches);
        assert.deepEqual(await model.features(pictures[2]), features);
        model.close();
    }
    await assert.rejects(load(shipped, { threads: 0 }), VitError);
    await assert.rejects(load(Buffer.from('no model'), { threads: 2 }), /not a \.vit file/);
});

test('the part of a picture that is seen', () => {
    const config = { resize: 1, resizeSize: [256, 256], imgSize: [224, 224] };
    assert.deepEqual(seen(config, 512, 256), { x: 144, y: 16, width: 224, height: 224 });
    assert.deepEqual(seen({ resize: 2 }, 30, 20), { x: 0, y: 0, width: 30, height: 20 });
});

// ---- teaching ----

/** A picture of one of three kinds: stripes across, stripes down, a disc. */
function lessonPicture(kind, i) {
    const width = 40 + i, height = 36, data = new Uint8Array(width * height);
    for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
            const noise = ((x * 73 + y * 151 + i * 57) % 29) - 14;
            const level = [Math.sin(y / 2 + i), Math.sin(x / 2 + i),
                Math.hypot(x - width / 2, y - height / 2) < 8 + i % 5 ? 1 : -1][kind];
            data[y * width + x] = 128 + 90 * level + noise;
        }
    return { data, width, height };
}

const KINDS = ['stripes across', 'stripes down', 'disc'];

async function makeLessons(model, count) {
    const lessons = [];
    for (const [kind, label] of KINDS.entries()) {
        const features = [];
        for (let i = 0; i < count; i++) features.push(await model.features(lessonPicture(kind, i)));
        lessons.push({ label, pictures: features });
    }
    return lessons;
}

for (const dtype of ['f32', 'int8', 'int4']) {
    test(`teaching, ${dtype}`, async () => { // by pictures that are easy to tell apart
        const path = dtype === 'f32' ? shipped : convert(shipped, dtype);
        const model = await load(path);
        const taught = await model.teach(await makeLessons(model, 6), { keep: 0.9 });
        assert.equal(taught.pictures, 18);
        assert.equal(taught.right, 18);
        assert.deepEqual(taught.confusion, [[6, 0, 0], [0, 6, 0], [0, 0, 6]]);
        assert.ok(taught.threshold > 0 && taught.threshold <= 1);
        const own = await load(taught.file);
        assert.deepEqual(own.labels, KINDS);
        assert.equal(own.config.dtype, dtype);
        for (const kind of [0, 1, 2]) {
            const { top } = await own.classify(lessonPicture(kind, 30));
            assert.equal(top[0].label, KINDS[kind]);
        }
        await checkNative(taught.file, own, dtype);
    });
}

/** The native programs read the file, and come to the same. */
async function checkNative(file, own, dtype) {
    const path = join(folder, `taught-${dtype}.vit`);
    writeFileSync(path, file);
    const [expected] = native(path, '--logits', pictures[1].path);
    const { logits } = await own.classify(pictures[1]);
    assert.ok(difference(logits, expected.logits) < TOLERANCE[dtype]);
}

/** A picture of one of three kinds that is not easy to tell: a third of its pixels are of any kind. */
function noisyPicture(kind, i) {
    let state = kind * 1000 + i * 7 + 1;
    const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
    const contrast = 40 + 40 * random(), { data, width, height } = lessonPicture(kind, i);
    const others = [0, 1, 2].map((other) => lessonPicture(other, i).data);
    const mixed = data.map((_, at) => {
        const from = random() < 0.35 ? Math.floor(3 * random()) : kind;
        const level = 128 + (others[from][at] - 128) * contrast / 128 + 120 * (random() - 0.5);
        return Math.max(0, Math.min(255, level));
    });
    return { data: mixed, width, height };
}

test('a head as vit-teach fits it', async (t) => {
    const model = await load(shipped), photos = join(folder, 'photos'), mine = join(folder, 'mine.vit');
    const labels = ['across', 'disc', 'down'], kinds = [0, 2, 1], lessons = []; /* in the folders' order */
    for (const [c, label] of labels.entries()) {
        mkdirSync(join(photos, label), { recursive: true });
        const features = [];
        for (let i = 0; i < 20; i++) {
            const { data, width, height } = noisyPicture(kinds[c], i);
            writeFileSync(join(photos, label, `${String(i).padStart(2, '0')}.pgm`),
                Buffer.concat([Buffer.from(`P5\n${width} ${height}\n255\n`), data]));
            features.push(await model.features({ data, width, height }));
        }
        lessons.push({ label, pictures: features });
    }
    const taught = await model.teach(lessons);
    const said = execFileSync(join(build, 'vit-teach'), ['-m', shipped, photos, '-o', mine],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    assert.ok(said.includes(`the head reads ${taught.reads}, of`), said);
    const [, right, all] = said.match(/held-out pictures: .*\((\d+) of (\d+);/).map(Number);
    assert.ok(Math.abs(right - taught.right) <= 1 && all === taught.pictures, said);
    const [own, other] = await Promise.all([load(taught.file), load(mine)]);
    let worst = 0; /* of the grid of regularisations, the next one may be as good within the fit's tolerance */
    for (let i = 30; i < 36; i++) {
        const a = await own.classify(noisyPicture(i % 3, i)), b = await other.classify(noisyPicture(i % 3, i));
        assert.equal(a.top[0].label, b.top[0].label);
        worst = Math.max(worst, ...a.scores.map((score, c) => Math.abs(score - b.scores[c])));
    }
    t.diagnostic(`${taught.right} of ${taught.pictures} right; scores of new pictures differ by ${worst.toFixed(3)}`);
    assert.ok(worst < 0.1);
});

test('what cannot be learned', async () => {
    const model = await load(shipped), lessons = await makeLessons(model, 2);
    const [a, b] = lessons, names = (first, second) => [{ ...a, label: first }, { ...b, label: second }];
    for (const [classes, words] of [
        [[a], /two classes or more/],
        [names('a', 'a'), /the name "a"/],
        [names('a', ' '), /no name/],
        [names('a', 'b\n'), /control characters/],
        [[a, { label: 'b', pictures: [] }], /"b" has no pictures/],
        [[a, { label: 'b', pictures: [new Float32Array(3)] }], /not the features/],
        [[a, { label: 'b', pictures: [a.pictures[0]] }], /the same picture is in/],
    ]) await assert.rejects(model.teach(classes), words);
    await assert.rejects(model.teach(lessons, { keep: 1 }), /keep/);
    const twice = await model.teach([{ ...a, pictures: [...a.pictures, a.pictures[0]] }, b]);
    assert.equal(twice.pictures, 4);
});

// ---- the package ----

test('npm takes the package', () => {
    const [pack] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json'],
        { cwd: moduleFolder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
    assert.deepEqual(pack.files.map(({ path }) => path).sort(),
        ['LICENSE', 'README.md', 'package.json', 'vit-relaxed-threads.wasm', 'vit-relaxed.wasm',
            'vit-thread.mjs', 'vit-threads.wasm', 'vit.d.mts', 'vit.d.ts', 'vit.mjs', 'vit.wasm']);
});
