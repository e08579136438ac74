
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 3

# The two services whose permissions are taken back, by their well-known application IDs.
$Exchange = '00000002-0000-0ff1-ce00-000000000000'
$Graph = '00000003-0000-0000-c000-000000000000'

# Takes application permissions and their consent back.
function Revoke-ApplicationPermission($Application, [string]$Service, [string[]]$Permissions) {
    $resource = Get-MgServicePrincipal -Filter "appId eq '$Service'"
    $ids = @($resource.AppRoles | Where-Object { $Permissions -contains $_.Value } | ForEach-Object { $_.Id })
    Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Application.Id -All |
        Where-Object { $_.ResourceId -eq $resource.Id -and $ids -contains $_.AppRoleId } |
        ForEach-Object {
            if ($PSCmdlet.ShouldProcess($Application.DisplayName, "take back a permission of $($resource.DisplayName)")) {
                Write-Host "  taking back a permission of $($resource.DisplayName)"
                Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Application.Id -AppRoleAssignmentId $_.Id
            }
        }
}

# Takes delegated permissions and their consent back.
function Revoke-DelegatedPermission($Application, [string]$Service, [string[]]$Permissions) {
    if (-not $Permissions) { return }
    $resource = Get-MgServicePrincipal -Filter "appId eq '$Service'"
    Get-MgOauth2PermissionGrant -All -Filter "clientId eq '$($Application.Id)'" |
        Where-Object { $_.ResourceId -eq $resource.Id -and $_.ConsentType -eq 'AllPrincipals' } |
        ForEach-Object {
            if (-not $PSCmdlet.ShouldProcess($Application.DisplayName, "take back $($Permissions -join ' ')")) { return }
            $left = @($_.Scope.Trim() -split '\s+' | Where-Object { $Permissions -notcontains $_ })
            if ($left) {
                Update-MgOauth2PermissionGrant -OAuth2PermissionGrantId $_.Id -Scope ($left -join ' ')
            }
            else {
                Remove-MgOauth2PermissionGrant -OAuth2PermissionGrantId $_.Id
            }
        }
}

# Takes a role within a scope back, and the scope away.
function Revoke-GraphRole([string]$Name) {
    if (-not $PSCmdlet.ShouldProcess($Name, 'remove the role and its scope')) { return }
    Get-ManagementRoleAssignment | Where-Object { $_.Name -eq $Name } |
        Remove-ManagementRoleAssignment -Confirm:$false
    Get-ManagementScope | Where-Object { $_.Name -eq $Name } |
        Remove-ManagementScope -Confirm:$false
}

# The app no longer owns its own registration, as it did to renew its secrets.
function Revoke-Renewal($Application) {
    $registration = Get-MgApplication -Filter "appId eq '$($Application.AppId)'"
    if (-not $registration) { return }
    Get-MgApplicationOwner -ApplicationId $registration.Id -All | Where-Object { $_.Id -eq $Application.Id } |
        ForEach-Object {
            if ($PSCmdlet.ShouldProcess($registration.DisplayName, 'remove the app from its owners')) {
                Remove-MgApplicationOwnerByRef -ApplicationId $registration.Id -DirectoryObjectId $_.Id
            }
        }
    Revoke-ApplicationPermission $Application $Graph @('Application.ReadWrite.OwnedBy')
}

foreach ($tenant in $Tenants) {
    Write-Host "tenant $($tenant.Tenant)"
    Connect-MgGraph -TenantId $tenant.Tenant -Environment $tenant.GraphEnvironment -NoWelcome `
        -Scopes 'Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All', 'DelegatedPermissionGrant.ReadWrite.All'
    Connect-ExchangeOnline -ExchangeEnvironmentName $tenant.ExchangeEnvironment -ShowBanner:$false
    $connected = (Get-ConnectionInformation | Select-Object -Last 1).TenantID
    if ($connected -ne (Get-MgContext).TenantId) {
        throw "Exchange is that of tenant $connected, not of $($tenant.Tenant): sign in to both as an administrator of the same tenant"
    }

    foreach ($pair in $tenant.SendAs) {
        if ($PSCmdlet.ShouldProcess($pair.Address, "stop $($pair.Mailbox) from sending as it")) {
            Write-Host "$($pair.Mailbox) may no longer send as $($pair.Address)"
            Remove-RecipientPermission -Identity $pair.Address -Trustee $pair.Mailbox -AccessRights SendAs `
                -Confirm:$false -WarningAction SilentlyContinue
        }
    }
    # The mailbox heeds the tenant's switch again. IMAP stays as it is, for it is on by default.
    foreach ($mailbox in $tenant.Smtp) {
        if ($PSCmdlet.ShouldProcess($mailbox, 'leave SMTP submission to the setting of the tenant')) {
            Set-CASMailbox -Identity $mailbox -SmtpClientAuthenticationDisabled $null -WarningAction SilentlyContinue
        }
    }
    foreach ($delegate in $tenant.Delegates) {
        if ($PSCmdlet.ShouldProcess($delegate.Mailbox, "take full access from $($delegate.Account)")) {
            Write-Host "no access to $($delegate.Mailbox) for $($delegate.Account)"
            Remove-MailboxPermission -Identity $delegate.Mailbox -User $delegate.Account -AccessRights FullAccess `
                -Confirm:$false -WarningAction SilentlyContinue
        }
    }
    foreach ($app in $tenant.Apps) {
        Write-Host "app $($app.AppId), server $($app.Server)"
        if ($app.OwnName) {
            Revoke-GraphRole "$($app.OwnName) read"
            Revoke-GraphRole "$($app.OwnName) send"
            $principal = Get-ServicePrincipal | Where-Object { $_.AppId -eq $app.AppId }
            if ($principal) {
                foreach ($mailbox in $app.Mailboxes) {
                    if ($PSCmdlet.ShouldProcess($mailbox, "take full access from app $($app.AppId)")) {
                        Write-Host "  no access to $mailbox"
                        Remove-MailboxPermission -Identity $mailbox -User $principal.Identity -AccessRights FullAccess `
                            -Confirm:$false -WarningAction SilentlyContinue
                    }
                }
                if (-not $app.Shared -and $PSCmdlet.ShouldProcess($app.Server, 'remove the app from Exchange')) {
                    Write-Host '  Exchange forgets the app'
                    $principal | Remove-ServicePrincipal -Confirm:$false
                }
            }
        }
        $application = Get-MgServicePrincipal -Filter "appId eq '$($app.AppId.Replace("'", "''"))'"
        if ($application -and -not $app.Shared) {
            Revoke-ApplicationPermission $application $Exchange $app.ExchangePermissions
            Revoke-ApplicationPermission $application $Graph $app.GraphPermissions
            Revoke-Renewal $application
            Revoke-DelegatedPermission $application $Exchange $app.DelegatedExchange
            Revoke-DelegatedPermission $application $Graph $app.DelegatedGraph
        }
    }
    Disconnect-ExchangeOnline -Confirm:$false
    Disconnect-MgGraph | Out-Null
}
Write-Host 'Done. The app registration itself and its secret are left as they are.'
