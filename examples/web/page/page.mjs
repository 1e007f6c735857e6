// The page: photos come in by drop, paste, file or camera, a worker answers.
import { openCamera } from './camera.mjs';
import { run } from './engine.mjs';
import { decode } from './module/vit.mjs';
import { forgetLessons, startTeaching } from './teach.mjs';
import { cardParagraphs, element, formatBytes, showAnswer, showHeat, showModel, showPicture } from './view.mjs';

const $ = (id) => document.getElementById(id);
const MODEL = 'model.vit';
const TOP = 5;

let model = null; // what answers: { config, labels, fileSize }
let photo = null; // { pixels, name }
let turn = 0; // of the photo that is shown: an older one's answer comes too late
let relaxed = false; // whether the browser has relaxed SIMD
let card = []; // of the model that comes with the page

const tell = (text) => { $('status').textContent = text; };

function tellError(text) {
    $('error').textContent = text;
    if (text !== '') tell('');
}

// ---- photos ----

/** Shows the photo at hand and what the model says of it. */
async function answerPhoto() {
    const mine = ++turn, { pixels, name } = photo;
    tellError('');
    tell('Looking');
    try {
        const result = await run('classify', { pixels, top: TOP });
        if (mine !== turn) return;
        $('result').hidden = false;
        $('status').scrollIntoView({ block: 'nearest' });
        tell(`The answer: ${showAnswer(result, model.config)}`);
        await showPicture(pixels, `Your photo, ${name}`);
        const attention = await run('attention', { pixels });
        if (mine === turn) await showHeat(attention, model.config, pixels);
    } catch (error) {
        if (mine === turn) tellError(`${name}: ${error.message}`);
    }
}

async function takePixels(pixels, name) {
    photo = { pixels, name };
    if (model !== null) await answerPhoto();
    else tell('Waiting for the model');
}

async function takeFile(file) {
    if (file === undefined) return;
    if (/\.vit$/i.test(file.name)) return openModel(file, file.name);
    try {
        await takePixels(await decode(file), file.name || 'picture');
    } catch (error) {
        tellError(error.message);
    }
}

function startPhotos() {
    $('pick').onclick = () => $('photo').click();
    $('photo').onchange = ({ target }) => {
        const [file] = target.files;
        target.value = '';
        takeFile(file);
    };
    $('camera').onclick = () => openCamera((pixels) => takePixels(pixels, 'from the camera'))
        .catch((error) => tellError(error.message));
    $('show-heat').onchange = ({ target }) => $('heat').classList.toggle('off', !target.checked);
    addEventListener('paste', pasted);
    startDrops();
}

function pasted(event) {
    const [file] = event.clipboardData?.files ?? [];
    const inField = event.target instanceof HTMLInputElement;
    if (file !== undefined) {
        event.preventDefault();
        takeFile(file);
    } else if (!inField) {
        tellError('there is no picture to paste: copy the picture itself, not its address');
    }
}

function startDrops() {
    let depth = 0; // of elements that the drag is over
    addEventListener('dragenter', () => { depth++; document.body.classList.add('dragging'); });
    addEventListener('dragleave', () => { if (--depth <= 0) endDrag(); });
    addEventListener('dragover', (event) => event.preventDefault());
    addEventListener('drop', (event) => {
        event.preventDefault();
        endDrag();
        const [file] = event.dataTransfer.files;
        if (file === undefined) tellError('that is no file: save the picture first, or copy and paste it');
        takeFile(file);
    });
    const endDrag = () => { depth = 0; document.body.classList.remove('dragging'); };
}

// ---- models ----

function showProgress({ loaded, total }) {
    const bar = $('progress');
    if (total === undefined) bar.removeAttribute('value');
    else bar.value = loaded / total;
    $('progress-label').textContent = `Loading the model: ${formatBytes(loaded)}` +
        (total === undefined ? '' : ` of ${formatBytes(total)}`);
}

async function useModel(description, name, paragraphs) {
    model = description;
    $('engine').textContent = `This browser runs it with ${relaxed ? 'relaxed ' : ''}SIMD` +
        `${model.threads > 1 ? ` on ${model.threads} threads` : ''}.`;
    showModel(description, name, paragraphs);
    $('first-model').hidden = name === 'The model of this page';
    if (photo !== null) await answerPhoto();
}

/** Opens a model; one that cannot be used leaves all as it is. Returns whether it is there. */
async function openModel(source, name) {
    const isFirst = source === MODEL;
    tellError('');
    $('loading').hidden = false;
    try {
        const address = isFirst ? new URL(MODEL, document.baseURI).href : source;
        const description = await run('open', { source: address }, showProgress);
        forgetLessons();
        tell(isFirst ? 'The model is ready' : `${name} is ready`);
        await useModel(description, isFirst ? 'The model of this page' : name, isFirst ? card : []);
        return true;
    } catch (error) {
        tellError(error.message);
        return false;
    } finally {
        $('loading').hidden = true;
    }
}

function startModels() {
    $('pick-model').onclick = () => $('model-file').click();
    $('model-file').onchange = ({ target }) => {
        const [file] = target.files;
        target.value = '';
        if (file !== undefined) openModel(file, file.name);
    };
    $('first-model').onclick = async () => { if (await openModel(MODEL)) $('pick-model').focus(); };
    startTeaching((description) => useModel(description, 'What you taught it', []));
}

async function readCard() {
    const response = await fetch('card.md');
    if (response.ok) card = cardParagraphs(await response.text());
}

// ---- offline ----

async function startOffline() {
    if (navigator.serviceWorker === undefined) return;
    navigator.serviceWorker.onmessage = ({ data }) => {
        if (data.offline) $('offline').textContent = 'It works offline, too.';
    };
    await navigator.serviceWorker.register('sw.js');
    const { active } = await navigator.serviceWorker.ready;
    const name = `module/vit${relaxed ? '-relaxed' : ''}`;
    active.postMessage({ keep: [`${name}.wasm`, `${name}-threads.wasm`] });
}

async function start() {
    startPhotos();
    startModels();
    ({ relaxed } = await run('engine'));
    await readCard().catch(() => {});
    if (await openModel(MODEL)) await startOffline().catch(() => {}); // it works all the same
}

start().catch((error) => tellError(error.message));
