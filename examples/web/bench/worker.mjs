// One contestant: opens a model, then runs it as often as it is told.

const bytesOf = async (file) => new Uint8Array(await (await fetch(file)).arrayBuffer());

async function openVit({ folder, int8, relaxed }) {
    const { load } = await import('./module/vit.mjs');
    const model = await load(new URL(`${folder}/${int8 ? 'model-int8' : 'model'}.vit`, location), { relaxed });
    return (pixels) => model.embed(pixels, { features: 'output' });
}

async function openOrt({ folder, int8 }) {
    const ort = await import('./ort/ort.wasm.min.mjs');
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = new URL('./ort/', location).href;
    const session = await ort.InferenceSession.create(
        await bytesOf(`${folder}/${int8 ? 'model-int8' : 'model'}.onnx`),
        { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
    return async (pixels) => {
        const input = new ort.Tensor('float32', pixels, [1, 3, 224, 224]);
        return (await session.run({ pixels: input })).logits.data;
    };
}

let pass = null, pixels = null;

const tasks = {
    async open(what) {
        pixels = new Float32Array((await bytesOf(`${what.folder}/pixels.f32`)).buffer);
        pass = await (what.engine === 'ort' ? openOrt : openVit)(what);
        return [...await pass(pixels)];
    },

    async run(times) {
        for (let i = 0; i < times; i++) await pass(pixels);
    },
};

onmessage = async ({ data: { task, what } }) => {
    try {
        postMessage({ result: await tasks[task](what) });
    } catch (error) {
        postMessage({ error: String(error) });
    }
};
