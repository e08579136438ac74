# Completions of queuemail for fish: put this file into ~/.config/fish/completions.
# What may come next is queuemail's to say.
function __queuemail
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l candidates ($words[1] completions fish -- $words (commandline --current-token) 2>/dev/null)
    if set -q candidates[1]
        printf '%s\n' $candidates
    else
        __fish_complete_path (commandline --current-token)
    end
end
complete --command queuemail --no-files --keep-order --arguments '(__queuemail)'
