// Types of vit.mjs: vit.h in browsers, web workers and node.

/** What the library, or the module, has to say about what went wrong. */
export class VitError extends Error {
    name: 'VitError';
    /** The status, as in vit.h: "VIT_ERROR_MAGIC" and so on. */
    code?: string;
}

/** Where a model comes from. In node, a string without a scheme is the path of a file. */
export type Source = string | URL | Blob | Response | ArrayBuffer | ArrayBufferView;

/** Pixels: 1 (grey), 3 (RGB) or 4 (RGBA, whose A is dropped) bytes each, row after row. */
export interface Pixels {
    data: Uint8Array | Uint8ClampedArray;
    width: number;
    height: number;
}

/** A picture. A Float32Array is the model's input itself, normalised: [channels][height][width]. */
export type Picture = Pixels | Blob | CanvasImageSource | Float32Array;

/** Height and width in pixels, both as one number, or those of the picture's own aspect ratio with as many
    patches as usual. The model's own where it is left out. */
export type Size = number | [height: number, width: number] | 'native';

export interface LoadOptions {
    /** Called as the model comes in; total is undefined where it is not known. */
    onProgress?: (progress: { loaded: number; total: number | undefined }) => void;
    /** Ends a fetch that is under way. */
    signal?: AbortSignal;
    /** The WebAssembly: its URL, bytes or module, if not beside vit.mjs. */
    wasm?: string | URL | BufferSource | WebAssembly.Module;
    /** Which build to take from beside vit.mjs; by default relaxed SIMD where it runs. */
    relaxed?: boolean;
}

/** What a model is: vit_config of vit.h, whose comments say what each is. Sizes are [height, width]. */
export interface Config {
    readonly architecture: string;
    readonly dtype: 'f32' | 'f16' | 'bf16' | 'int8' | 'int8x' | 'int4';
    readonly output: 'softmax' | 'sigmoid' | 'number' | 'embedding';
    readonly imgSize: readonly [number, number];
    readonly patchSize: readonly [number, number];
    readonly inChans: number;
    readonly numClasses: number;
    readonly embedDim: number;
    readonly depth: number;
    readonly numHeads: number;
    readonly headDim: number;
    readonly mlpDim: number;
    readonly prefixTokens: number;
    readonly headTokens: number;
    readonly headAvg: number;
    /** The score of the first class below which none of them is meant; 0: there is no such. */
    readonly rejectBelow: number;
    /** 0 none, 1 the short side, 2 exactly to resizeSize. */
    readonly resize: number;
    readonly resizeSize: readonly [number, number];
    readonly tokenCount: number;
    readonly outputCount: number;
    readonly parameters: number;
}

export interface Milliseconds {
    /** Resizing and normalising. */
    preprocess: number;
    /** The pass through the network. */
    forward: number;
}

export interface Entry {
    index: number;
    /** null where the model has no labels. */
    label: string | null;
    /** A probability, or with output "number" a plain number. */
    score: number;
}

export interface Answer {
    /** null: none of the classes is meant, as the first score is below config.rejectBelow. */
    answer: Entry | null;
    /** The best, first first. */
    top: Entry[];
    /** Of all classes. */
    scores: Float32Array;
    logits: Float32Array;
    milliseconds: Milliseconds;
}

/** How much of each patch has reached what the head reads: Abnar and Zuidema 2020, arXiv:2005.00928. */
export interface Rollout {
    rows: number;
    columns: number;
    /** [rows][columns]; with prefix, the sum is 1. */
    patches: Float32Array;
    /** Of the tokens in front of the patches, the class token first. */
    prefix: Float32Array;
    milliseconds: Milliseconds;
}

/** The attention of a block. */
export interface BlockAttention {
    rows: number;
    columns: number;
    heads: number;
    /** Tokens that attend: all, or in the last block those that the head reads. */
    queries: number;
    /** Tokens that they attend to: prefix tokens, then patches. */
    tokens: number;
    /** [heads][queries][tokens]; each query's sum is 1. */
    weights: Float32Array;
    milliseconds: Milliseconds;
}

/** A class of one's own, with what Model.features gave of its pictures. */
export interface Lesson {
    label: string;
    pictures: Float32Array[];
}

/** What Model.teach gives. */
export interface Taught {
    /** A .vit file: the model with a new head and new labels. */
    file: Uint8Array<ArrayBuffer>;
    /** Pictures learned from, those that are there twice counted once ... */
    pictures: number;
    /** ... and how many of them were right when they were held out (cross-validation in 5 folds). */
    right: number;
    /** [class][answer], of the pictures held out. */
    confusion: number[][];
    /** Mean difference of score and share that is right, before and after the temperature. */
    calibrationError: { before: number; after: number };
    temperature: number;
    /** config.rejectBelow of the file. */
    threshold: number;
    /** What the head reads. */
    reads: 'token 0' | 'the mean of the patches' | 'token 0 and the mean of the patches';
    /** Whether the picture is squeezed as a whole, not cropped as the model had it. */
    whole: boolean;
}

/** An open model. What it does, it does on the thread that calls. */
export interface Model {
    readonly config: Config;
    /** null where the file has none. */
    readonly labels: readonly string[] | null;
    /** In bytes. */
    readonly fileSize: number;
    classify(picture: Picture, options?: { top?: number; size?: Size }): Promise<Answer>;
    /** "pooled": what the head reads; "tokens": all tokens after the last block, [tokenCount][embedDim];
        "output": what the file puts out, the default where that is an embedding. */
    embed(picture: Picture,
        options?: { features?: 'pooled' | 'tokens' | 'output'; size?: Size }): Promise<Float32Array>;
    attention(picture: Picture, options?: { block?: undefined; size?: Size }): Promise<Rollout>;
    attention(picture: Picture,
        options: { block: number; head?: number; size?: Size }): Promise<BlockAttention>;
    /** What teach learns from: the picture's features in four views (mirrored or not, cropped or whole). */
    features(picture: Exclude<Picture, Float32Array>): Promise<Float32Array>;
    /** A head for classes of one's own, as vit-teach fits it. keep: the share of right answers that a
        threshold for "none of these" is to keep, such as 0.95; 0: no threshold. */
    teach(classes: Lesson[], options?: { keep?: number }): Promise<Taught>;
    /** Gives the memory back; the model cannot be used any more. */
    close(): void;
}

/** Opens a model. Every byte of the file is checked. */
export function load(source: Source, options?: LoadOptions): Promise<Model>;

/** The pixels of a picture, as the model's functions decode it. Pixels are given back as they are. */
export function decode(picture: Exclude<Picture, Float32Array>): Promise<Pixels>;

/** Which part of a picture of this size the model sees, in its pixels. */
export function seen(config: Config, width: number, height: number):
    { x: number; y: number; width: number; height: number };

/** Which builds of the library run here. */
export function features(): { simd: boolean; relaxed: boolean };
