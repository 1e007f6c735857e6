// The types, as TypeScript sees them: make check-types.
import { decode, features, load, seen, VitError, type Answer } from './module/vit.mjs';

const model = await load('model.vit', {
    onProgress: ({ loaded, total }) => console.log(loaded.toFixed(), total?.toFixed()),
    threads: 2,
});
const answer: Answer = await model.classify(new Blob([]), { top: 3, size: 'native' });
const label: string | null | undefined = answer.answer?.label;
const rollout = await model.attention(document.createElement('canvas'));
const block = await model.attention({ data: new Uint8Array(4), width: 1, height: 1 }, { block: 1, head: 2 });
const lesson = { label: 'a', pictures: [await model.features(new Blob([]))] };
const { file, right } = await model.teach([lesson, lesson], { keep: 0.9 });
const pixels = await decode(new Blob([]));
const { x } = seen(model.config, pixels.width, pixels.height);
console.log(label, rollout.patches.length, block.weights.length, new Blob([file]), right + x, features().relaxed);
if (new VitError('words', 'VIT_ERROR_MAGIC').code === 'VIT_ERROR_MAGIC') model.close();

// @ts-expect-error a number is no picture
await model.classify(3);
// @ts-expect-error blocks are numbers
await model.attention(new Blob([]), { block: 'first' });
// @ts-expect-error a config is not to be changed
model.config.depth = 1;
