# Completion of vit-convert, vit-info, vit-teach and vit-classify in bash. Options, and whether a file,
# a folder or something else follows them, are read from --help; the names that may follow are here.

_vit_names() { # OPTION
    case $1 in
    --act) echo gelu gelu_tanh quick_gelu relu ;;
    --dtype) echo f32 f16 bf16 int8 int8x int4 ;;
    --interpolation) echo bilinear bicubic ;;
    --isa) echo portable dsp mve neon neon-dotprod neon-i8mm neon-bf16 simd128 rvv sse4.1 avx2 avx2-vnni avx512 avx512-vnni avx512-bf16 amx ;;
    --labels) echo imagenet-1k cifar-10 cifar-100 ;;
    --output) echo softmax sigmoid number ;;
    --pool) echo token avg all token_avg ;;
    --pos-embed) echo sincos1d sincos2d sincos2d-moco ;;
    --pos-resample) echo bicubic-antialias bicubic bicubic-aligned bicubic-offset bilinear ;;
    --recipe) echo own whole best ;;
    --resize) echo none ;;
    esac
}

_vit_options() { # PROGRAM: the long ones
    "$1" --help 2>/dev/null | sed -n 's/^ \+\(-[a-z0-9], \)\?\(--[a-z-]\+\).*/\2/p'
}

_vit_argument() { # PROGRAM OPTION: the word that --help has after the option, such as FILE
    "$1" --help 2>/dev/null | awk -F '  +' -v option="$2" '/^ +-/ {
        sub(/^ +/, "")
        count = split($1, word, /,? /)
        for (i = 1; i <= count; i++) found = found || word[i] == option
        for (i = 1; found && i <= count; i++) if (word[i] !~ /^-/) { print word[i]; exit }
        if (found) exit
    }'
}

_vit() {
    local cur prev words cword argument=
    _init_completion || return
    [[ $prev == -* ]] && argument=$(_vit_argument "$1" "$prev")
    case $argument in
    FOLDER | DIR) _filedir -d ;;
    FILE | WHERE | *.*) _filedir ;;
    esac
    if [[ -n $argument ]]; then
        COMPREPLY+=($(compgen -W "$(_vit_names "$prev")" -- "$cur"))
    elif [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$(_vit_options "$1")" -- "$cur"))
    else
        _filedir
    fi
}
complete -F _vit vit-convert vit-info vit-teach vit-classify
