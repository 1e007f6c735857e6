# Completion of one of vit-convert, vit-info, vit-teach and vit-classify in fish: the one by whose name
# this file is found. Options, what they are for and what follows them are read from --help; the names
# that may follow are here.

function __vit_names
    switch $argv[1]
        case act
            echo gelu gelu_tanh quick_gelu relu
        case dtype
            echo f32 f16 bf16 int8 int8x int4
        case interpolation
            echo bilinear bicubic
        case isa
            echo portable dsp mve neon neon-dotprod neon-i8mm neon-bf16 simd128 rvv sse4.1 avx2 avx2-vnni avx512 avx512-vnni avx512-bf16 amx
        case output
            echo softmax sigmoid number
        case pool
            echo token avg all token_avg
        case pos-embed
            echo sincos1d sincos2d sincos2d-moco
        case pos-resample
            echo bicubic-antialias bicubic bicubic-aligned bicubic-offset bilinear
        case recipe
            echo own whole best
        case resize
            echo none
    end
end

# "  -m, --model FILE    the backbone" is: complete -c PROGRAM -l model -s m -d 'the backbone' -r -F
function __vit_complete
    set -l pattern '^ +(-(?<short>[a-z0-9]), )?--(?<long>[a-z-]+)( (?<argument>[A-Z]\S*))?( +(?<help>.*))?$'
    for line in ($argv[1] --help 2>/dev/null)
        string match -q -r -- $pattern $line; or continue
        set -l options -c $argv[1] -l $long -d "$help"
        test -n "$short"; and set -a options -s $short
        switch "$argument"
            case ''
            case FILE WHERE FOLDER DIR '*.*'
                set -a options -r -F
            case '*'
                set -a options -x -a "$(__vit_names $long)"
        end
        complete $options
    end
end

__vit_complete (string replace -r '.*/(.*)\.fish$' '$1' (status filename))
