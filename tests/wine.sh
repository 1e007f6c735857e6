# For checks that run programs by wine, with its folder in $work: sets $wine. They call stop_wine at their end.
export LC_ALL=C.UTF-8 # the names of files, to wine
export WINEPREFIX=$work/wine WINEDEBUG=-all
wine=$(command -v wine64 || echo /usr/lib/wine/wine64)

stop_wine() {
    "$(command -v wineserver64 || echo /usr/lib/wine/wineserver64)" -k -w || true
    rm -rf "$WINEPREFIX"
}
