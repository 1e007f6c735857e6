// What the page shows of an answer and of a model.
import { seen } from './module/vit.mjs';

const $ = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
}

const number = (digits) => new Intl.NumberFormat('en', { maximumFractionDigits: digits });

export const formatBytes = (bytes) => bytes < 1e6 ? `${number(0).format(bytes / 1e3)} KB`
    : `${number(1).format(bytes / 1e6)} MB`;

const formatPercent = (share) => `${(100 * share).toFixed(1)} %`;

export const formatTime = (milliseconds) => milliseconds < 10 ? `${milliseconds.toFixed(1)} ms`
    : `${Math.round(milliseconds)} ms`;

// ---- the picture and what was looked at ----

const LONGEST = 1200; // side of the canvas

/** Paints the picture, not larger than needed, and clears what was looked at. */
export async function showPicture(pixels, name) {
    const scale = Math.min(1, LONGEST / Math.max(pixels.width, pixels.height));
    const canvas = $('picture'), heat = $('heat');
    canvas.width = heat.width = Math.max(1, Math.round(pixels.width * scale));
    canvas.height = heat.height = Math.max(1, Math.round(pixels.height * scale));
    canvas.setAttribute('aria-label', name);
    canvas.parentElement.style.setProperty('--aspect', canvas.width / canvas.height);
    const bitmap = await createImageBitmap(new ImageData(pixels.data, pixels.width, pixels.height));
    const context = canvas.getContext('2d');
    context.imageSmoothingEnabled = canvas.width >= 200; // a tiny picture shows its pixels
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    $('looked').textContent = '';
}

// matplotlib's inferno, evenly spaced, as vit-classify --heatmap has it
const INFERNO = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];

function colourOf(heat) {
    const at = Math.min(3, Math.floor(heat * 4)), rest = heat * 4 - at;
    return INFERNO[at].map((low, c) => low + rest * (INFERNO[at + 1][c] - low));
}

/** The patches' heat as a picture of a pixel each. */
function heatPixels({ rows, columns, patches }) {
    const least = Math.min(...patches), most = Math.max(...patches);
    const image = new ImageData(columns, rows);
    patches.forEach((value, i) => {
        const heat = most > least ? (value - least) / (most - least) : 0;
        image.data.set([...colourOf(heat), 40 + 150 * heat], 4 * i);
    });
    return image;
}

function placeOf({ rows, columns, patches }) {
    let x = 0, y = 0, sum = 0;
    const middle = [...patches].sort((a, b) => a - b)[patches.length >> 1];
    patches.forEach((value, i) => {
        const weight = Math.max(0, value - middle);
        sum += weight;
        x += weight * (i % columns + 0.5) / columns;
        y += weight * (Math.floor(i / columns) + 0.5) / rows;
    });
    const down = y / sum < 0.4 ? 'upper' : y / sum > 0.6 ? 'lower' : '';
    const across = x / sum < 0.4 ? 'left' : x / sum > 0.6 ? 'right' : '';
    if (!(sum > 0) || down === '' && across === '') return 'middle';
    return across === '' ? `${down} middle` : [down, across].filter(Boolean).join(' ');
}

/** Paints what was looked at over the part of the picture that the model sees. */
export async function showHeat(attention, config, pixels) {
    const canvas = $('heat'), context = canvas.getContext('2d'), scale = canvas.width / pixels.width;
    const { x, y, width, height } = seen(config, pixels.width, pixels.height);
    const bitmap = await createImageBitmap(heatPixels(attention));
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, x * scale, y * scale, width * scale, height * scale);
    bitmap.close();
    $('looked').textContent = `It looked most at the ${placeOf(attention)} of the picture ` +
        '(attention rollout; bright is more).';
}

// ---- the answer ----

function barOf(entry, output) {
    const label = element('span', { className: 'label', textContent: entry.label ?? `class ${entry.index}` });
    if (output === 'number')
        return element('li', {}, label,
            element('span', { className: 'score', textContent: number(4).format(entry.score) }));
    const bar = element('div', { className: 'bar' }, element('span'));
    bar.setAttribute('aria-hidden', 'true');
    bar.style.setProperty('--share', entry.score);
    return element('li', {}, label,
        element('span', { className: 'score', textContent: formatPercent(entry.score) }), bar);
}

/** The labels with bars, and the time; returns the answer in words. */
export function showAnswer({ answer, top, embedding, milliseconds }, config) {
    if (embedding !== undefined) {
        $('labels').replaceChildren();
        $('time').textContent = '';
        return `This model has no classes: it describes the picture by ${embedding.length} numbers.`;
    }
    const bars = top.map((entry) => barOf(entry, config.output));
    if (answer === null)
        bars.unshift(element('li', {}, element('span', { className: 'none', textContent: 'None of these' })));
    $('labels').replaceChildren(...bars);
    const { preprocess, forward } = milliseconds;
    $('time').textContent = `${formatTime(preprocess + forward)}: ${formatTime(preprocess)} to resize the ` +
        `picture, ${formatTime(forward)} in the model`;
    if (answer === null) return 'None of the classes.';
    const name = answer.label ?? `class ${answer.index}`;
    return config.output === 'number' ? `${name}: ${number(4).format(answer.score)}`
        : `${name}, ${formatPercent(answer.score)}`;
}

// ---- the model ----

const pair = ([height, width]) => `${width} × ${height}`;

function listLabels(labels) {
    if (labels.length <= 12) return labels.join(', ');
    return `${labels.slice(0, 10).join(', ')} and ${labels.length - 10} more`;
}

/** What the model is, in a sentence and in a list. card: the first paragraphs of its README, or ''. */
export function showModel({ config, labels, fileSize }, name, card) {
    $('about').textContent = labels === null ? `${name}: ${config.numClasses || 'no'} classes without names.`
        : `${name} knows ${labels.length} classes and nothing else: ${listLabels(labels)}.`;
    const facts = {
        'Kind': config.architecture || 'Vision Transformer',
        'Sees': `${pair(config.imgSize)} pixels, ${config.inChans === 1 ? 'grey' : 'colour'}, in patches of ` +
            `${pair(config.patchSize)}`,
        'Size': `${number(2).format(config.parameters / 1e6)} million parameters in ${config.dtype}, ` +
            `a file of ${formatBytes(fileSize)}`,
        'Layers': `${config.depth} blocks, ${config.numHeads} heads, width ${config.embedDim}`,
        'Answers': { softmax: 'probabilities of classes that exclude each other',
            sigmoid: 'a probability of each class', number: 'plain numbers',
            embedding: 'numbers that describe the picture' }[config.output],
    };
    if (config.rejectBelow > 0) facts['None of these'] = `below ${formatPercent(config.rejectBelow)}`;
    $('facts').replaceChildren(...Object.entries(facts).flatMap(([key, value]) =>
        [element('dt', { textContent: key }), element('dd', { textContent: value })]));
    $('card').replaceChildren(...card.map((text) => element('p', { textContent: text })));
}

/** The paragraphs of a card in Markdown that come before its first table or picture, without markup. */
export function cardParagraphs(markdown) {
    const paragraphs = [];
    for (const block of markdown.split(/\n\s*\n/)) {
        if (/^(\||!\[|##)/.test(block)) break;
        if (/^#/.test(block)) continue;
        paragraphs.push(block.replace(/\*\*|`/g, '').replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/\s+/g, ' ').trim());
    }
    return paragraphs;
}
