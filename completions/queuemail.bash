# Completions of queuemail for bash (4 or later): source this file, or install it as
# /usr/share/bash-completion/completions/queuemail. What may come next is queuemail's to say.
_queuemail() {
    mapfile -t COMPREPLY < <("$1" completions bash -- "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
    [[ ${COMPREPLY-} != *[=:] ]] || compopt -o nospace
}
complete -o bashdefault -o default -F _queuemail queuemail
