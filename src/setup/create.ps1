
# A list of the permissions that a registration asks for, as its page shows it.
function Get-RequiredAccess([string]$Service, [string[]]$Roles, [string[]]$Scopes) {
    if (-not $Roles -and -not $Scopes) { return }
    $resource = Get-MgServicePrincipal -Filter "appId eq '$Service'"
    $access = @($resource.AppRoles | Where-Object { $Roles -contains $_.Value } |
            ForEach-Object { @{ Id = $_.Id; Type = 'Role' } })
    $access += @($resource.Oauth2PermissionScopes | Where-Object { $Scopes -contains $_.Value } |
            ForEach-Object { @{ Id = $_.Id; Type = 'Scope' } })
    @{ ResourceAppId = $Service; ResourceAccess = $access }
}

# The app registration of a name, made where there is none; $null where it is only said (-WhatIf).
function Get-Registration($App) {
    $name = $App.Create.Name
    $found = @(Get-MgApplication -Filter "displayName eq '$($name.Replace("'", "''"))'" -All)
    if ($found.Count -gt 1) { throw "$($found.Count) app registrations have the name ${name}: rename all but one" }
    if ($found) {
        Write-Host "  the app registration $name is there already"
        return $found[0]
    }
    if (-not $PSCmdlet.ShouldProcess($name, 'make the app registration')) { return }
    $new = @{
        DisplayName            = $name
        SignInAudience         = 'AzureADMyOrg'
        RequiredResourceAccess = @(
            Get-RequiredAccess $Exchange $App.ExchangePermissions $App.DelegatedExchange
            Get-RequiredAccess $Graph @() $App.DelegatedGraph
        )
    }
    if ($App.Create.Public) {
        $new.IsFallbackPublicClient = $true
        $new.PublicClient = @{ RedirectUris = @('http://localhost') }
    }
    New-MgApplication -BodyParameter $new
}

# A certificate or secret for a registration that has none. Gives the options of `server add`.
function Initialize-Credential($App, $Registration) {
    if ($App.Create.Public) { return '' }
    if ($App.Create.Certificate) {
        if ($Registration.KeyCredentials) {
            Write-Host '  it has a certificate already: no other one is registered'
        }
        elseif ($PSCmdlet.ShouldProcess($App.Create.Name, 'register the certificate')) {
            $key = [Convert]::FromBase64String($App.Create.Certificate)
            Update-MgApplication -ApplicationId $Registration.Id -KeyCredentials @(
                @{ Type = 'AsymmetricX509Cert'; Usage = 'Verify'; Key = $key; DisplayName = 'queuemail' }
            )
        }
        return $App.Create.CertificateOptions
    }
    if ($Registration.PasswordCredentials) {
        Write-Host '  it has a secret already: no other one is made'
        return ''
    }
    if (-not $PSCmdlet.ShouldProcess($App.Create.Name, 'make a client secret')) { return '' }
    $end = (Get-Date).ToUniversalTime().AddDays($SecretDays)
    $made = Add-MgApplicationPassword -ApplicationId $Registration.Id `
        -PasswordCredential @{ DisplayName = 'queuemail'; EndDateTime = $end }
    $expires = " --secret-expires $($end.ToString('yyyy-MM-dd'))"
    if (-not $SecretPath) {
        Write-Host "  the secret, which is shown only now: $($made.SecretText)"
        return $expires
    }
    # Closed to others before the secret is in it.
    New-Item -ItemType File -Path $SecretPath -Force | Out-Null
    if (-not $IsWindows) { chmod 600 $SecretPath }
    Set-Content -Path $SecretPath -Value $made.SecretText
    $full = (Resolve-Path $SecretPath).Path
    "$expires --secret-file '$($full.Replace("'", "'\''"))'"
}

# Makes the app registration, and the command line that adds the server.
function Initialize-App($App) {
    Write-Host "app registration $($App.Create.Name)"
    $registration = Get-Registration $App
    if (-not $registration) { return }
    $App.AppId = $registration.AppId
    $App.OwnName = if ($App.Create.Public) { '' } else { "queuemail $($App.AppId)" }
    $options = Initialize-Credential $App $registration
    $App.Create.Line = "$($App.Create.ServerAdd) --client-id $($App.AppId)$options"
}
