// The models, away from the page, which stays responsive. Each message names a task; its answer carries
// the same id.
import { load, features } from './module/vit.mjs';

let backbone = null; // what was loaded from a file
let current = null; // what answers: the backbone, or what it has been taught
let taughtFile = null;

const describe = ({ config, labels, fileSize }) => ({ config, labels, fileSize });

async function openBackbone(source, id) {
    const model = await load(source, { onProgress: (progress) => postMessage({ id, progress }) });
    if (current !== backbone) current?.close();
    backbone?.close();
    backbone = current = model;
    taughtFile = null;
    return describe(model);
}

const tasks = {
    open: ({ source }, id) => openBackbone(source, id),

    async classify({ pixels, top }) {
        if (current.config.output !== 'embedding') return current.classify(pixels, { top });
        return { embedding: await current.embed(pixels) };
    },

    attention: ({ pixels }) => current.attention(pixels),

    features: ({ pixels }) => backbone.features(pixels),

    async teach({ classes }) {
        const { file, ...result } = await backbone.teach(classes);
        const model = await load(file);
        if (current !== backbone) current.close();
        current = model;
        taughtFile = file;
        return { ...result, model: describe(model) };
    },

    file: () => new Blob([taughtFile], { type: 'application/octet-stream' }),

    engine: () => features(),
};

onmessage = async ({ data: { id, task, values } }) => {
    try {
        postMessage({ id, result: await tasks[task](values ?? {}, id) });
    } catch (error) {
        postMessage({ id, error: error.message });
    }
};
