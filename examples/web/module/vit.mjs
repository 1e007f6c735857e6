// vit.h in the browser, in node and in web workers: Vision Transformers (ViT) from .vit files. MIT licence.
//
//     import { load } from './vit.mjs';
//     const model = await load('model.vit');
//     const { answer } = await model.classify(file);  // a File, an <img>, { data, width, height } ...
//     console.log(answer.label, answer.score);
//
// vit.d.ts says what each function takes and gives. The work is done on the thread that calls: pages
// that have to stay responsive import this in a worker. Each model has WebAssembly memory of its own.

/** What the library, or this module, has to say about what went wrong. */
export class VitError extends Error {
    constructor(message, code, options) {
        super(message, options);
        this.name = 'VitError';
        this.code = code; // "VIT_ERROR_MAGIC" and so on, as in vit.h, or undefined
    }
}

const isNode = typeof process === 'object' && process.versions?.node !== undefined &&
    process.type !== 'renderer';

// ---- the WebAssembly module ----------------------------------------------------------------------

// () -> v128 functions: i8x16.splat and i8x16.popcnt; i8x16.relaxed_swizzle
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0,
    253, 15, 253, 98, 11];
const RELAXED = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65,
    1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11];

const runs = (bytes) => WebAssembly.validate(new Uint8Array(bytes));

/** Which build of the library runs here. */
export function features() {
    return { simd: runs(SIMD), relaxed: runs(RELAXED) };
}

const compiled = new Map(); // address -> promise of the module

async function compileFrom(address) {
    if (isNode && address.protocol === 'file:') {
        const { readFile } = await import('node:fs/promises');
        return WebAssembly.compile(await readFile(address));
    }
    const response = await fetch(address);
    if (!response.ok) throw new VitError(`${address}: the server answers ${response.status}`);
    const bytes = await response.arrayBuffer(); // as streams, servers that know no .wasm would fail
    return WebAssembly.compile(bytes);
}

function compile(wanted, relaxed) {
    if (wanted instanceof WebAssembly.Module) return wanted;
    if (wanted instanceof ArrayBuffer || ArrayBuffer.isView(wanted)) return WebAssembly.compile(wanted);
    const here = features();
    if (!here.simd) throw new VitError('this browser is too old: its WebAssembly has no SIMD');
    const name = relaxed ?? here.relaxed ? './vit-relaxed.wasm' : './vit.wasm';
    const address = wanted === undefined ? new URL(name, import.meta.url) : absolute(wanted);
    if (!compiled.has(address.href)) {
        const promise = compileFrom(address);
        promise.catch(() => compiled.delete(address.href)); // to be tried again
        compiled.set(address.href, promise);
    }
    return compiled.get(address.href);
}

/** The exports of one instance, and its memory. A trap ends it. */
class Instance {
    constructor(instance) {
        this.exports = instance.exports;
        this.exports._initialize();
    }

    call(name, ...values) {
        if (this.exports === null) throw new VitError('the model is closed');
        try {
            return this.exports[name](...values);
        } catch (error) {
            this.exports = null;
            const memory = error instanceof WebAssembly.RuntimeError && /unreachable/.test(error.message);
            throw new VitError(memory ? 'out of memory' : `a fault in the library: ${error.message}`,
                memory ? 'VIT_ERROR_MEMORY' : undefined, { cause: error });
        }
    }

    text(name, ...values) {
        const begin = this.call(name, ...values) >>> 0;
        if (begin === 0) return null;
        const bytes = new Uint8Array(this.exports.memory.buffer, begin);
        return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
    }

    check(status, what) {
        if (status === 0) return;
        const text = this.text('web_status_text', status);
        throw new VitError(what ? `${what}: ${text}` : text, this.text('web_status_name', status));
    }

    /** A view of what an export has returned; it holds until the next call that takes memory. */
    view(Type, pointer, count) {
        if (pointer === 0) throw new VitError('out of memory', 'VIT_ERROR_MEMORY');
        return new Type(this.exports.memory.buffer, pointer >>> 0, count);
    }

    put(name, bytes, ...values) {
        this.view(Uint8Array, this.call(name, ...values), bytes.length).set(bytes);
    }
}

// ---- sources of models ---------------------------------------------------------------------------

function absolute(address) {
    if (address instanceof URL) return address;
    if (isNode && !/^[a-z][a-z0-9+.-]+:/i.test(address)) {
        return new URL(encodeURI(address).replace(/[?#]/g, encodeURIComponent),
            `file://${process.cwd()}/`);
    }
    return new URL(address, globalThis.document?.baseURI ?? globalThis.location?.href);
}

const nameOf = (address) => decodeURIComponent(address.pathname.split('/').pop()) || address.href;

/** All bytes of a stream, told piece by piece. */
async function collect(stream, total, onProgress) {
    const pieces = [];
    let loaded = 0;
    onProgress?.({ loaded, total });
    for (const reader = stream.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        pieces.push(value);
        loaded += value.length;
        onProgress?.({ loaded, total });
    }
    const bytes = new Uint8Array(loaded);
    let at = 0;
    for (const piece of pieces) {
        bytes.set(piece, at);
        at += piece.length;
    }
    return bytes;
}

async function readResponse(response, name, onProgress) {
    if (!response.ok) throw new VitError(`${name}: the server answers ${response.status}`);
    const length = Number(response.headers.get('content-length'));
    const plain = !response.headers.get('content-encoding'); // else the length is that of fewer bytes
    return collect(response.body, plain && length > 0 ? length : undefined, onProgress);
}

async function readAddress(address, { onProgress, signal }) {
    if (isNode && address.protocol === 'file:') {
        const { openAsBlob } = await import('node:fs');
        const blob = await openAsBlob(address);
        return collect(blob.stream(), blob.size, onProgress);
    }
    return readResponse(await fetch(address, { signal }), nameOf(address), onProgress);
}

async function readSource(source, options) {
    if (source instanceof ArrayBuffer) return { bytes: new Uint8Array(source), name: '' };
    if (ArrayBuffer.isView(source))
        return { bytes: new Uint8Array(source.buffer, source.byteOffset, source.byteLength), name: '' };
    if (source instanceof Blob)
        return { bytes: await collect(source.stream(), source.size, options.onProgress),
            name: source.name ?? '' };
    if (typeof Response === 'function' && source instanceof Response)
        return { bytes: await readResponse(source, source.url, options.onProgress), name: '' };
    if (typeof source !== 'string' && !(source instanceof URL))
        throw new VitError('a model is a URL, a File, a Response, or bytes');
    const address = absolute(source), name = nameOf(address);
    try {
        return { bytes: await readAddress(address, options), name };
    } catch (error) {
        if (error instanceof VitError || error.name === 'AbortError') throw error;
        throw new VitError(`${name}: ${error.message}`, 'VIT_ERROR_READ', { cause: error });
    }
}

// ---- pictures ------------------------------------------------------------------------------------

const MAX_CANVAS = 16_777_216; // pixels of a canvas in Safari on a phone

function canvasOf(width, height) {
    if (typeof OffscreenCanvas === 'function') return new OffscreenCanvas(width, height);
    return Object.assign(document.createElement('canvas'), { width, height });
}

/** The pixels of something that a canvas can draw; larger ones than a canvas may be are drawn smaller. */
function draw(source, width, height) {
    const scale = Math.min(1, Math.sqrt(MAX_CANVAS / (width * height)));
    const across = Math.max(1, Math.floor(width * scale)), down = Math.max(1, Math.floor(height * scale));
    const context = canvasOf(across, down).getContext('2d', { willReadFrequently: true });
    if (context === null) throw new VitError('out of memory', 'VIT_ERROR_MEMORY');
    context.imageSmoothingQuality = 'high';
    context.drawImage(source, 0, 0, across, down);
    return context.getImageData(0, 0, across, down);
}

async function decodeBlob(blob) {
    if (typeof createImageBitmap !== 'function')
        throw new VitError('there is no decoder for pictures here: pass { data, width, height }');
    let bitmap;
    try {
        // As training and the native programs do it: EXIF's orientation counts, colour profiles do not,
        // and colours under transparency are not darkened.
        bitmap = await createImageBitmap(blob, { imageOrientation: 'from-image',
            colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
    } catch (error) {
        throw new VitError(`${blob.name ? `${blob.name}: ` : ''}this is no picture that the browser can read`,
            undefined, { cause: error });
    }
    try {
        return draw(bitmap, bitmap.width, bitmap.height);
    } finally {
        bitmap.close();
    }
}

/** The pixels of a picture: { data, width, height }, in RGBA unless they came so already. */
export async function decode(picture) {
    if (picture?.data !== undefined && picture.width > 0) return picture;
    if (picture instanceof Blob) return decodeBlob(picture);
    const width = picture?.displayWidth ?? picture?.videoWidth ?? picture?.naturalWidth ?? picture?.width;
    const height = picture?.displayHeight ?? picture?.videoHeight ?? picture?.naturalHeight ??
        picture?.height;
    if (!(width > 0 && height > 0))
        throw new VitError('a picture is a File, an image, a canvas, a video, or { data, width, height }');
    return draw(picture, width, height);
}

function channelsOf({ data, width, height }) {
    const channels = data.length / (width * height);
    if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray) ||
        !Number.isInteger(width) || !Number.isInteger(height) || ![1, 3, 4].includes(channels))
        throw new VitError('data has to be a Uint8Array of 1, 3 or 4 bytes for each pixel');
    return channels;
}

/** Which part of a picture of this size the model sees: { x, y, width, height } in its pixels. Where it
    reaches beyond the picture, the model sees black. */
export function seen(config, width, height) {
    if (config.resize !== 1) return { x: 0, y: 0, width, height };
    const [down, across] = config.resizeSize;
    const scale = Math.max(down / height, across / width);
    const part = { width: config.imgSize[1] / scale, height: config.imgSize[0] / scale };
    return { x: (width - part.width) / 2, y: (height - part.height) / 2, ...part };
}

// ---- models --------------------------------------------------------------------------------------

const FEATURES = { output: 0, pooled: 1, tokens: 2 };
const READINGS = ['token 0', 'the mean of the patches', 'token 0 and the mean of the patches'];

const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

/** vit_config's numbers by name; name_0, name_1 as a list. */
function readConfig(instance) {
    const config = { architecture: instance.text('web_architecture'), dtype: instance.text('web_dtype'),
        output: instance.text('web_output_kind') };
    for (let i = 0, name; (name = instance.text('web_number_name', i)) !== null; i++) {
        const [, base, index] = name.match(/^(.*?)(?:_(\d))?$/);
        const key = camel(base), value = instance.call('web_number', i);
        if (index === undefined) config[key] = value;
        else (config[key] ??= [])[Number(index)] = value;
    }
    return Object.freeze(config);
}

function readLabels(instance, count) {
    const labels = [];
    for (let i = 0; i < count; i++) labels.push(instance.text('web_label', i));
    return labels[0] === null ? null : Object.freeze(labels);
}

/** A model that is open. */
class Model {
    #instance;

    constructor(instance, fileSize) {
        this.#instance = instance;
        this.config = readConfig(instance);
        this.labels = readLabels(instance, this.config.numClasses);
        this.fileSize = fileSize;
        Object.freeze(this);
    }

    /** Gives the memory back. */
    close() {
        this.#instance.exports = null;
    }

    // Puts the picture's pixels in the model's size; returns how long that took.
    #see(pixels, { size } = {}) {
        const instance = this.#instance, channels = channelsOf(pixels), begin = performance.now();
        instance.put('web_bytes', pixels.data, pixels.data.length);
        instance.call('web_image', pixels.width, pixels.height, channels);
        this.#resize(size);
        instance.check(instance.call('web_preprocess'));
        return performance.now() - begin;
    }

    #resize(size) {
        const [height, width] = size === undefined || size === 'native' ? [0, 0]
            : Array.isArray(size) ? size : [size, size];
        if (!Number.isInteger(height) || !Number.isInteger(width) || height < 0 || width < 0)
            throw new VitError('size is a number of pixels, [height, width], or "native"');
        this.#instance.call('web_size', height, width);
        if (size === 'native') this.#instance.check(this.#instance.call('web_native_size'));
    }

    #floats(pointer, count) {
        return this.#instance.view(Float32Array, pointer, count).slice();
    }

    // The pass that `run` calls over the picture, and its times.
    async #pass(picture, options, run) {
        const given = picture instanceof Float32Array ? picture : await decode(picture);
        const preprocess = given instanceof Float32Array ? this.#take(given, options)
            : this.#see(given, options);
        const begin = performance.now(), result = run(this.#instance);
        const forward = performance.now() - begin;
        return { result, milliseconds: { preprocess, forward } };
    }

    // Pixels that are the model's input already.
    #take(pixels, { size } = {}) {
        if (size === 'native') throw new VitError('size "native" is for pictures, not for pixels');
        this.#resize(size);
        const instance = this.#instance, pointer = instance.call('web_own_pixels');
        const count = instance.call('web_pixels_count');
        if (pixels.length !== count)
            throw new VitError(`the model takes ${count} numbers, and here are ${pixels.length}`);
        instance.view(Float32Array, pointer, count).set(pixels);
        return 0;
    }

    #forward(kind) {
        const instance = this.#instance;
        instance.check(instance.call('web_forward', kind));
        return this.#floats(instance.call('web_output'), instance.call('web_output_count', kind));
    }

    async classify(picture, options = {}) {
        if (this.config.output === 'embedding')
            throw new VitError('this model has no classes: it gives an embedding');
        const { result: logits, milliseconds } =
            await this.#pass(picture, options, () => this.#forward(FEATURES.output));
        const scores = this.#floats(this.#instance.call('web_scores'), logits.length);
        const index = this.#instance.call('web_answer');
        if (scores.every(Number.isNaN)) throw new VitError('the scores are not numbers');
        return { answer: index < 0 ? null : this.#entry(scores, index), top: this.#top(scores, options.top),
            scores, logits, milliseconds };
    }

    #entry(scores, index) {
        return { index, label: this.labels?.[index] ?? null, score: scores[index] };
    }

    #top(scores, count = 5) {
        const order = [...scores.keys()].filter((i) => !Number.isNaN(scores[i]));
        order.sort((a, b) => scores[b] - scores[a] || a - b);
        return order.slice(0, count).map((index) => this.#entry(scores, index));
    }

    async embed(picture, options = {}) {
        const kind = options.features ?? (this.config.output === 'embedding' ? 'output' : 'pooled');
        if (!Object.hasOwn(FEATURES, kind))
            throw new VitError('features is "output", "pooled" or "tokens"');
        const { result } =
            await this.#pass(picture, options, () => this.#forward(FEATURES[kind]));
        return result;
    }

    async attention(picture, options = {}) {
        return options.block === undefined ? this.#rollout(picture, options)
            : this.#blockAttention(picture, options);
    }

    #grid() {
        const [height, width] = [this.#instance.call('web_height'), this.#instance.call('web_width')];
        return { rows: Math.floor(height / this.config.patchSize[0]),
            columns: Math.floor(width / this.config.patchSize[1]) };
    }

    async #rollout(picture, options) {
        const prefix = this.config.prefixTokens;
        const { result: heat, milliseconds } = await this.#pass(picture, options, (instance) => {
            instance.check(instance.call('web_rollout'));
            return this.#floats(instance.call('web_heat'), instance.call('web_token_count'));
        });
        return { ...this.#grid(), patches: heat.subarray(prefix), prefix: heat.subarray(0, prefix),
            milliseconds };
    }

    async #blockAttention(picture, options) {
        const { block, head } = options, { depth, numHeads } = this.config;
        if (!(Number.isInteger(block) && block >= 0 && block < depth))
            throw new VitError(`block is a number from 0 to ${depth - 1}`);
        if (head !== undefined && !(Number.isInteger(head) && head >= 0 && head < numHeads))
            throw new VitError(`head is a number from 0 to ${numHeads - 1}`);
        const { result, milliseconds } = await this.#pass(picture, options, (instance) => {
            const queries = instance.call('web_attention', block);
            if (queries < 0) instance.check(-queries);
            const tokens = instance.call('web_token_count');
            const all = this.#floats(instance.call('web_heat'), numHeads * queries * tokens);
            const each = queries * tokens;
            const weights = head === undefined ? all : all.slice(head * each, (head + 1) * each);
            return { heads: head === undefined ? numHeads : 1, queries, tokens, weights };
        });
        return { ...this.#grid(), ...result, milliseconds };
    }

    // ---- classes of one's own ----

    async features(picture) {
        this.#see(await decode(picture));
        const instance = this.#instance;
        instance.check(instance.call('web_features'));
        const features = this.#floats(instance.call('web_heat'), instance.call('web_features_count'));
        if (!features.every(Number.isFinite)) throw new VitError('the features are not numbers');
        return features;
    }

    async teach(classes, { keep = 0 } = {}) {
        const lesson = prepare(classes, this.#instance.call('web_features_count'));
        if (!(keep >= 0 && keep < 1)) throw new VitError('keep is a share from 0 to 1');
        return learn(this.#instance, lesson, keep);
    }
}

// ---- teaching ------------------------------------------------------------------------------------

const sameFeatures = (a, b) => a.every((value, i) => value === b[i]);

function checkLabels(classes) {
    const labels = classes.map(({ label }) => label);
    if (labels.length < 2) throw new VitError('there have to be two classes or more');
    for (const label of labels) {
        if (typeof label !== 'string' || label.trim() === '') throw new VitError('a class has no name');
        if (/[\p{Cc}\p{Cs}]/u.test(label))
            throw new VitError(`"${label}": a name has no control characters`);
    }
    const twice = labels.find((label, i) => labels.indexOf(label) !== i);
    if (twice !== undefined) throw new VitError(`two classes have the name "${twice}"`);
    return labels;
}

/** Checks what is to be learned. A picture that is twice in a class counts once. */
function prepare(classes, count) {
    const labels = checkLabels(classes), pictures = [];
    for (const [index, { label, pictures: given }] of classes.entries()) {
        for (const features of given) {
            if (features.length !== count)
                throw new VitError(`${label}: these are not the features of a picture by this model`);
            const same = pictures.find((other) => sameFeatures(other.features, features));
            if (same !== undefined && same.index !== index)
                throw new VitError(`the same picture is in "${labels[same.index]}" and in "${label}"`);
            if (same === undefined) pictures.push({ features, index });
        }
        if (!pictures.some((picture) => picture.index === index))
            throw new VitError(`"${label}" has no pictures`);
    }
    return { labels, pictures, count };
}

function learn(instance, { labels, pictures, count }, keep) {
    const text = new TextEncoder().encode(labels.map((label) => `${label}\0`).join(''));
    instance.call('web_lesson', pictures.length, labels.length);
    const rows = instance.view(Float32Array, instance.call('web_lesson_features'),
        pictures.length * count);
    pictures.forEach(({ features }, i) => rows.set(features, i * count));
    const classes = instance.view(Int32Array, instance.call('web_lesson_classes'), pictures.length);
    pictures.forEach(({ index }, i) => { classes[i] = index; });
    const pointer = instance.call('web_bytes', text.length);
    instance.view(Uint8Array, pointer, text.length).set(text);
    instance.check(instance.call('web_teach', pointer, text.length, keep));
    return taught(instance, labels, pictures);
}

function taught(instance, labels, pictures) {
    const [right, before, after, temperature, threshold, reading] =
        [0, 1, 2, 3, 4, 5].map((i) => instance.call('web_taught_number', i));
    const answers = instance.view(Int32Array, instance.call('web_taught_answers'), pictures.length);
    const confusion = labels.map(() => labels.map(() => 0));
    pictures.forEach(({ index }, i) => { confusion[index][answers[i]]++; });
    return {
        file: instance.view(Uint8Array, instance.call('web_taught_file'),
            instance.call('web_taught_size')).slice(),
        pictures: pictures.length, right, confusion, temperature, threshold,
        calibrationError: { before, after }, reads: READINGS[reading & 3], whole: reading >= 4,
    };
}

// ---- loading -------------------------------------------------------------------------------------

/** Opens a model: from a URL, a File or Blob, a Response, or bytes. */
export async function load(source, options = {}) {
    const module = Promise.resolve(compile(options.wasm, options.relaxed));
    module.catch(() => {}); // it is awaited below
    const { bytes, name } = await readSource(source, options);
    const instance = new Instance(await WebAssembly.instantiate(await module, {}));
    instance.put('web_file', bytes, bytes.length);
    instance.check(instance.call('web_open', bytes.length), name);
    return new Model(instance, bytes.length);
}
