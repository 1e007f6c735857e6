// Classes of one's own: their photos, what the backbone makes of them, and the model that comes of it.
import { openCamera } from './camera.mjs';
import { run } from './engine.mjs';
import { decode } from './module/vit.mjs';
import { element, formatTime } from './view.mjs';

const $ = (id) => document.getElementById(id);
const THUMB = 144; // pixels
let onTaught = null;
let serial = 0;

/** Class elements in the page, each with its photos: element of the list -> features. */
const classes = new Map();

const tell = (text) => { $('lesson').textContent = text; };

function tellError(text) {
    $('lesson-error').textContent = text;
    if (text !== '') tell('');
}

// ---- photos ----

function thumbnail(pixels) {
    const side = Math.min(pixels.width, pixels.height);
    const canvas = element('canvas', { width: THUMB, height: THUMB });
    const all = element('canvas', { width: pixels.width, height: pixels.height });
    all.getContext('2d').putImageData(new ImageData(pixels.data, pixels.width, pixels.height), 0, 0);
    canvas.getContext('2d').drawImage(all, (pixels.width - side) / 2, (pixels.height - side) / 2, side, side,
        0, 0, THUMB, THUMB);
    canvas.setAttribute('aria-hidden', 'true');
    return canvas;
}

async function addPhoto(fieldset, pixels) {
    const features = await run('features', { pixels });
    const photos = classes.get(fieldset);
    if (photos === undefined) return; // the class has been removed
    const button = element('button', { type: 'button' }, thumbnail(pixels));
    button.setAttribute('aria-label', `Remove photo ${photos.size + 1}`);
    const item = element('li', {}, button);
    button.onclick = () => {
        const next = item.nextElementSibling ?? item.previousElementSibling;
        photos.delete(item);
        item.remove();
        (next?.firstElementChild ?? fieldset.querySelector('.add-photos')).focus();
        tellCounts();
    };
    photos.set(item, features);
    fieldset.querySelector('.photos').append(item);
    tellCounts();
}

async function addFiles(fieldset, files) {
    const bad = [];
    for (const [i, file] of files.entries()) {
        tell(`Looking at photo ${i + 1} of ${files.length}`);
        try {
            await addPhoto(fieldset, await decode(file));
        } catch (error) {
            bad.push(error.message);
        }
    }
    tellCounts();
    if (bad.length > 0) tellError(bad.join('; '));
}

function tellCounts() {
    const counts = [...classes].map(([fieldset, photos]) =>
        `${fieldset.querySelector('.name').value || 'a class without a name'} ${photos.size}`);
    tellError('');
    tell(`Photos: ${counts.join(', ')}`);
}

// ---- classes ----

function addClass() {
    const fieldset = $('class-template').content.firstElementChild.cloneNode(true);
    const find = (name) => fieldset.querySelector(`.${name}`), title = `Class ${++serial}`;
    classes.set(fieldset, new Map());
    fieldset.querySelector('legend').textContent = title;
    find('add-photos').onclick = () => find('files').click();
    find('files').onchange = ({ target }) => {
        const files = [...target.files];
        target.value = '';
        addFiles(fieldset, files);
    };
    find('take-photo').onclick = () => openCamera((pixels) => addPhoto(fieldset, pixels), true)
        .catch((error) => tellError(error.message));
    find('remove-class').onclick = () => {
        classes.delete(fieldset);
        fieldset.remove();
        $('add-class').focus();
    };
    acceptDrops(fieldset);
    $('classes').append(fieldset);
    return fieldset;
}

function acceptDrops(fieldset) {
    fieldset.addEventListener('dragover', () => fieldset.classList.add('target'));
    fieldset.addEventListener('dragleave', () => fieldset.classList.remove('target'));
    fieldset.addEventListener('drop', (event) => {
        event.preventDefault();
        event.stopPropagation();
        fieldset.classList.remove('target');
        document.body.classList.remove('dragging');
        addFiles(fieldset, [...event.dataTransfer.files]);
    });
}

// ---- learning ----

function showConfusion({ confusion }, labels) {
    const head = element('tr', {}, element('td'), ...labels.map((label) =>
        element('th', { scope: 'col', textContent: label })));
    const rows = confusion.map((counts, i) => element('tr', {},
        element('th', { scope: 'row', textContent: labels[i] }),
        ...counts.map((count) => element('td', { textContent: count }))));
    $('confusion').replaceChildren(element('table', {},
        element('caption', { textContent: 'A row for each class, a column for each answer' }),
        element('thead', {}, head), element('tbody', {}, ...rows)));
}

async function learn() {
    const lessons = [...classes].map(([fieldset, photos]) =>
        ({ label: fieldset.querySelector('.name').value.trim(), pictures: [...photos.values()] }));
    tellError('');
    tell('Learning');
    $('learn').disabled = true;
    try {
        const begin = performance.now(), taught = await run('teach', { classes: lessons });
        tell(`Learned in ${formatTime(performance.now() - begin)}. ${taught.right} of ${taught.pictures} photos were right when they were ` +
            'held out. The page answers with your classes now.');
        showConfusion(taught, lessons.map(({ label }) => label));
        $('save').hidden = false;
        onTaught(taught.model);
    } catch (error) {
        tellError(`It cannot learn that: ${error.message}`);
    }
    $('learn').disabled = false;
}

async function save() {
    const address = URL.createObjectURL(await run('file'));
    element('a', { href: address, download: 'mine.vit' }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Another backbone makes other features: the photos are gone. */
export function forgetLessons() {
    for (const fieldset of classes.keys()) fieldset.remove();
    classes.clear();
    addClass();
    addClass();
    $('confusion').replaceChildren();
    $('save').hidden = true;
    tell('');
    tellError('');
}

/** Starts the section; taught gets the description of each model that comes of it. */
export function startTeaching(taught) {
    onTaught = taught;
    $('add-class').onclick = () => addClass().querySelector('.name').focus();
    $('learn').onclick = learn;
    $('save').onclick = save;
}
